"""Values of the Helm chart kube-prometheus-stack. Creates no resource."""

from typing import Any

from platform_lib.infra.base.labels import PART_OF
from platform_lib.infra.base.naming import MONITORING_NAMESPACE, PLATFORM
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.kubernetes.volume_claim import claim_spec
from platform_lib.infra.monitoring.grafana_guard import guard_values

IDENTITY_HEADER = "X-Auth-Request-Email"
"""Header with which the login proxy identifies the user; Traefik removes it from incoming requests."""

KINDS = ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig")
OWN_NAME = "mlp-monitoring"
"""Name of the chart's objects on a cluster that may have the same chart already."""

# Set explicitly, because the namespace's Pod Security level rejects the subcharts' defaults.
_CONTAINER_SECURITY_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _pod_security_context(user: int) -> dict[str, Any]:
    """Return the `securityContext` of a pod that runs as this user ID."""
    return {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user}


def monitoring_values(
    *,
    placement: Placement,
    grafana_url: str,
    retention_days: int,
    alert_config_secret: Any,
    admin_secret: Any,
    ca_config_map: str | None = None,
    signout_url: str = "",
    has_operator: bool = False,
) -> dict[str, Any]:
    """Build the values. Values from other resources may be Outputs.

    Args:
        placement: Sizes, volumes, mirrors and pods of the stack. Metrics may fill four fifths of Prometheus' volume;
            the rest is for data being written.
        grafana_url: Grafana's address from outside.
        retention_days: How long Prometheus keeps metrics.
        alert_config_secret: Name of the Secret with `alertmanager.yaml`.
        admin_secret: Name of the Secret with Grafana's `admin-user` and `admin-password`.
        ca_config_map: Name of the ConfigMap with the CA bundle `ca.crt`; None if there is none.
        signout_url: Where Grafana's "Sign out" leads; empty ends nothing but Grafana's own session.
        has_operator: Whether the cluster has the operator. Its chart may have our names, so cluster-wide objects get
            others.
    """
    pods, registry = placement.pods, placement.mirrors.image_registry
    marks = dict(pods.annotations)
    placed = {**pods.scheduling(), **({"podAnnotations": marks} if marks else {})}
    placed_by_operator = {**pods.scheduling(), **({"podMetadata": {"annotations": marks}} if marks else {})}
    values: dict[str, Any] = {
        "crds": {"enabled": True},
        # Managed control planes do not expose these, and the chart's own alerts would fire.
        **{name: {"enabled": False} for name in ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")},
        # GKE Autopilot forbids its Service in kube-system.
        "coreDns": {"enabled": False},
        # Pod Security forbids the host network and host files that it needs. The kubelet's metrics remain.
        "nodeExporter": {"enabled": False},
        "prometheusOperator": {
            "admissionWebhooks": {
                "certManager": {"enabled": True},
                "patch": {"enabled": False},
                # The chart creates its rules before the webhook can answer; an upgrade sets the policy to Fail.
                "failurePolicy": "IgnoreOnInstallOnly",
            },
            "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
            **placed,
            "prometheusConfigReloader": {
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"cpu": "100m", "memory": "64Mi"},
                },
            },
        },
        "kube-state-metrics": {
            "securityContext": {"enabled": True, **_pod_security_context(65534)},
            "containerSecurityContext": {**_CONTAINER_SECURITY_CONTEXT, "readOnlyRootFilesystem": True},
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
            **placed,
        },
        "prometheus": {"prometheusSpec": {**_prometheus(placement, retention_days), **placed_by_operator}},
        "alertmanager": {
            "alertmanagerSpec": {
                **_alertmanager(placement, alert_config_secret, ca_config_map),
                **placed_by_operator,
            }
        },
        "grafana": {
            **_grafana(placement, grafana_url, signout_url, admin_secret),
            **guard_values(placement.mirrors, _CONTAINER_SECURITY_CONTEXT),
            **placed,
        },
    }
    if has_operator:
        values |= {"fullnameOverride": OWN_NAME, "crds": {"enabled": False}}
        values["prometheusOperator"] = {"enabled": False, "admissionWebhooks": {"enabled": False}}
        for part in ("grafana", "kube-state-metrics"):
            values[part]["fullnameOverride"] = f"{OWN_NAME}-{part}"
    given = {"imageRegistry": registry, "imagePullSecrets": pods.pulls}
    if shared := {key: value for key, value in given.items() if value}:
        values["global"] = shared
    return values


def _prometheus(placement: Placement, retention_days: int) -> dict[str, Any]:
    gib = placement.volume_gib("prometheus")
    # By default, only objects with the release's label are selected; those of models have none.
    everything = {f"{kind}SelectorNilUsesHelmValues": False for kind in KINDS}
    # Namespaces of others on a shared cluster have their own monitoring, and would fill and page ours.
    ours = {f"{kind}NamespaceSelector": {"matchLabels": {PART_OF: PLATFORM}} for kind in KINDS}
    return {
        **everything,
        **ours,
        "retention": f"{retention_days}d",
        "retentionSize": f"{max(1, gib * 4 // 5)}GiB",
        "storageSpec": {"volumeClaimTemplate": {"spec": claim_spec(gib, placement.storage_class)}},
        "resources": resources("prometheus", placement.size).requirements,
        # One team's broken metrics must not exhaust Prometheus' memory.
        "enforcedSampleLimit": 200_000,
        # A team's monitors and rules write and read series of their own namespace only, whatever labels they set.
        # `arbitraryFSAccessThroughSMs`, `overrideHonorLabels` and `ignoreNamespaceSelectors` would take the series of
        # the kubelet and kube-state-metrics from the chart's own monitors; `monitoring_rules` refuses them to teams.
        "enforcedNamespaceLabel": "namespace",
        "excludedFromEnforcement": [
            {"group": "monitoring.coreos.com", "resource": resource, "namespace": MONITORING_NAMESPACE}
            for resource in ("servicemonitors", "podmonitors", "probes", "scrapeconfigs", "prometheusrules")
        ],
    }


def _alertmanager(placement: Placement, config_secret: Any, ca_config_map: str | None) -> dict[str, Any]:
    gib = placement.volume_gib("alertmanager")
    spec: dict[str, Any] = {
        "useExistingSecret": True,
        "configSecret": config_secret,
        "storage": {"volumeClaimTemplate": {"spec": claim_spec(gib, placement.storage_class)}},
        "resources": resources("alertmanager", placement.size).requirements,
    }
    if ca_config_map is not None:
        spec["volumes"] = [{"name": "ca-bundle", "configMap": {"name": ca_config_map}}]
        # Go reads every file in this folder, in addition to the image's own bundle.
        spec["volumeMounts"] = [
            {
                "name": "ca-bundle",
                "mountPath": "/etc/ssl/certs/platform-ca.crt",
                "subPath": "ca.crt",
                "readOnly": True,
            }
        ]
    return spec


def _grafana(placement: Placement, url: str, signout_url: str, admin_secret: Any) -> dict[str, Any]:
    persistence: dict[str, Any] = {
        "enabled": True,
        "size": f"{placement.volume_gib('grafana')}Gi",
        "accessModes": ["ReadWriteOnce"],
    }
    if placement.storage_class:
        persistence["storageClassName"] = placement.storage_class
    return {
        "admin": {"existingSecret": admin_secret, "userKey": "admin-user", "passwordKey": "admin-password"},
        "deploymentStrategy": {"type": "Recreate"},  # only one pod can mount its volume
        "persistence": persistence,
        "initChownData": {"enabled": False},  # runs as root; fsGroup has the same effect
        "testFramework": {"enabled": False},  # its `helm test` pod violates the namespace's Pod Security level
        "securityContext": _pod_security_context(472),
        "containerSecurityContext": _CONTAINER_SECURITY_CONTEXT,
        "resources": resources("grafana", placement.size).requirements,
        "grafana.ini": {
            "server": {"root_url": url},
            "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False},
            "auth": {"disable_login_form": True, "signout_redirect_url": signout_url},
            "auth.proxy": {
                "enabled": True,
                "header_name": IDENTITY_HEADER,
                "header_property": "email",
                "auto_sign_up": True,
                # The header counts only from the container that asked for the edge's password.
                "whitelist": "127.0.0.1,::1",
            },
            "users": {"auto_assign_org_role": "Viewer", "viewers_can_edit": False},
            "security": {"cookie_secure": True, "strict_transport_security": True, "disable_gravatar": True},
            "snapshots": {"external_enabled": False},
        },
        "sidecar": {
            "securityContext": _CONTAINER_SECURITY_CONTEXT,
            "dashboards": {
                "enabled": True,
                "label": "grafana_dashboard",
                "labelValue": "1",
                "searchNamespace": "ALL",
                "folderAnnotation": "grafana_folder",
                "provider": {"foldersFromFilesStructure": True, "allowUiUpdates": False},
            },
        },
    }
