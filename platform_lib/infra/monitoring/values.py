"""Values of the chart kube-prometheus-stack. `observability` installs it; makes no resource."""

from typing import Any

from platform_lib.infra.base.sizing import Size, resources, storage_gib
from platform_lib.infra.kubernetes.volume_claim import claim_spec

IDENTITY_HEADER = "X-Auth-Request-Email"
"""What the login's proxy says of who asks; Traefik takes it out of what callers send."""

# Said here and not left to the subcharts' defaults: the namespace's Pod Security refuses pods that have less.
_CONTAINER_SECURITY_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _pod_security_context(user: int) -> dict[str, Any]:
    """`securityContext` of a pod that runs as this number."""
    return {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user}


def monitoring_values(
    *,
    size: Size,
    grafana_url: str,
    retention_days: int,
    storage_gib: int,
    storage_class: str,
    alert_config_secret: Any,
    admin_secret: Any,
    ca_config_map: str | None = None,
    image_registry: str = "",
) -> dict[str, Any]:
    """The values; what comes from other resources may be an Output.

    Args:
        storage_gib: Of Prometheus' volume; metrics may fill four fifths of it, the rest is for what is being written.
        alert_config_secret: Name of the Secret with `alertmanager.yaml`.
        admin_secret: Name of the Secret with Grafana's `admin-user` and `admin-password`.
        ca_config_map: Name of a ConfigMap with `ca.crt`, where a proxy signs with certificates of its own.
    """
    values: dict[str, Any] = {
        "crds": {"enabled": True},
        # Control planes that others run show these to nobody, and the chart's own alerts would call about it.
        **{name: {"enabled": False} for name in ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")},
        # It needs the node's own network and files, which the namespace's Pod Security refuses; the kubelet's numbers stay.
        "nodeExporter": {"enabled": False},
        "prometheusOperator": {
            "admissionWebhooks": {"certManager": {"enabled": True}, "patch": {"enabled": False}},
            "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
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
        },
        "prometheus": {"prometheusSpec": _prometheus(size, retention_days, storage_gib, storage_class)},
        "alertmanager": {"alertmanagerSpec": _alertmanager(size, storage_class, alert_config_secret, ca_config_map)},
        "grafana": _grafana(size, grafana_url, storage_class, admin_secret),
    }
    if image_registry:
        values["global"] = {"imageRegistry": image_registry}
    return values


def _prometheus(size: Size, retention_days: int, gib: int, storage_class: str) -> dict[str, Any]:
    # By default only objects with the release's label are taken: models in team namespaces have none.
    everything = {
        f"{kind}SelectorNilUsesHelmValues": False
        for kind in ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig")
    }
    return {
        **everything,
        "retention": f"{retention_days}d",
        "retentionSize": f"{max(1, gib * 4 // 5)}GiB",
        "storageSpec": {"volumeClaimTemplate": {"spec": claim_spec(gib, storage_class)}},
        "resources": resources("prometheus", size).requirements,
        # A team's broken scrape must not take Prometheus' memory from everybody.
        "enforcedSampleLimit": 200_000,
    }


def _alertmanager(size: Size, storage_class: str, config_secret: Any, ca_config_map: str | None) -> dict[str, Any]:
    gib = storage_gib("alertmanager", size)
    spec: dict[str, Any] = {
        "useExistingSecret": True,
        "configSecret": config_secret,
        "storage": {"volumeClaimTemplate": {"spec": claim_spec(gib, storage_class)}},
        "resources": resources("alertmanager", size).requirements,
    }
    if ca_config_map is not None:
        spec["volumes"] = [{"name": "authorities", "configMap": {"name": ca_config_map}}]
        # Go reads every file of this folder, besides the image's own bundle in it.
        spec["volumeMounts"] = [
            {
                "name": "authorities",
                "mountPath": "/etc/ssl/certs/platform-ca.crt",
                "subPath": "ca.crt",
                "readOnly": True,
            }
        ]
    return spec


def _grafana(size: Size, url: str, storage_class: str, admin_secret: Any) -> dict[str, Any]:
    persistence: dict[str, Any] = {
        "enabled": True,
        "size": f"{storage_gib('grafana', size)}Gi",
        "accessModes": ["ReadWriteOnce"],
    }
    if storage_class:
        persistence["storageClassName"] = storage_class
    return {
        "admin": {"existingSecret": admin_secret, "userKey": "admin-user", "passwordKey": "admin-password"},
        "deploymentStrategy": {"type": "Recreate"},  # its volume has one writer
        "persistence": persistence,
        "initChownData": {"enabled": False},  # it runs as root; fsGroup does the same
        "testFramework": {"enabled": False},  # a pod of `helm test`, without the rights that the namespace asks for
        "securityContext": _pod_security_context(472),
        "containerSecurityContext": _CONTAINER_SECURITY_CONTEXT,
        "resources": resources("grafana", size).requirements,
        "grafana.ini": {
            "server": {"root_url": url},
            "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False},
            "auth": {"disable_login_form": True, "signout_redirect_url": f"{url}/oauth2/sign_out"},
            "auth.proxy": {
                "enabled": True,
                "header_name": IDENTITY_HEADER,
                "header_property": "email",
                "auto_sign_up": True,
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
