"""Rules of the Kubernetes roles for a team's people and CI in the team's namespace, as plain data."""

from typing import Any, Final

from platform_lib.names import PREFECT_AUTH_SECRET, TEAM_CI_CREDENTIALS_SECRET, TEAM_CREDENTIALS_SECRET

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = [*_READ, "create", "update", "patch", "delete"]


def people_rules() -> list[dict[str, Any]]:
    """Rules for people: read everything except Secrets, and the team's own credentials. Changes go through CI."""
    return [
        _rule(
            "",
            [
                "pods",
                "pods/log",
                "services",
                "events",
                "configmaps",
                "persistentvolumeclaims",
                "resourcequotas",
                "limitranges",
            ],
            _READ,
        ),
        _rule("apps", ["deployments", "replicasets"], _READ),
        _rule("batch", ["jobs"], _READ),
        _rule("autoscaling", ["horizontalpodautoscalers"], _READ),
        _rule("policy", ["poddisruptionbudgets"], _READ),
        _rule("networking.k8s.io", ["networkpolicies"], _READ),
        _rule("traefik.io", ["ingressroutes", "middlewares", "traefikservices"], _READ),
        _rule("monitoring.coreos.com", ["servicemonitors", "prometheusrules"], _READ),
        _rule("keda.sh", ["scaledobjects"], _READ),
        _rule("events.k8s.io", ["events"], _READ),
        _rule("", ["pods/portforward"], ["create"]),
        _credentials(TEAM_CREDENTIALS_SECRET, PREFECT_AUTH_SECRET),
    ]


def deployer_rules() -> list[dict[str, Any]]:
    """Rules for CI: create and change the objects of a model endpoint, but no Secrets, roles, quotas or namespaces."""
    return [
        _rule("", ["services", "configmaps", "serviceaccounts", "persistentvolumeclaims"], _WRITE),
        _rule("apps", ["deployments"], _WRITE),
        _rule("autoscaling", ["horizontalpodautoscalers"], _WRITE),
        _rule("policy", ["poddisruptionbudgets"], _WRITE),
        _rule("networking.k8s.io", ["networkpolicies"], _WRITE),
        _rule("traefik.io", ["ingressroutes", "middlewares", "traefikservices"], _WRITE),
        _rule("monitoring.coreos.com", ["servicemonitors", "prometheusrules"], _WRITE),
        _rule("keda.sh", ["scaledobjects"], _WRITE),
        # To explain why a rollout fails.
        _rule("apps", ["replicasets"], _READ),
        _rule("", ["pods", "pods/log", "events", "endpoints"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        _rule("events.k8s.io", ["events"], _READ),
        _rule("", ["pods/portforward"], ["create"]),
        _credentials(TEAM_CREDENTIALS_SECRET, TEAM_CI_CREDENTIALS_SECRET, PREFECT_AUTH_SECRET),
    ]


def tunnel_rules() -> list[dict[str, Any]]:
    """Rules for `mlp tunnel` in the namespaces of MLflow and Prefect: forward a port, and nothing else."""
    return [
        _rule("", ["services", "pods"], ["get", "list"]),
        _rule("", ["pods/portforward"], ["create"]),
    ]


def _credentials(*secrets: str) -> dict[str, Any]:
    return _rule("", ["secrets"], ["get"]) | {"resourceNames": list(secrets)}


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
