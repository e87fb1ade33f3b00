"""What a team's people and its CI may do in its namespace, as rules of Kubernetes roles. `team` binds them."""

from typing import Any, Final

from platform_lib.names import PREFECT_AUTH_SECRET, TEAM_CREDENTIALS_SECRET

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = [*_READ, "create", "update", "patch", "delete"]


def people_rules() -> list[dict[str, Any]]:
    """Look at everything but Secrets, read logs, and take the team's own MLflow credentials; changes go through CI."""
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
        _credentials(),
    ]


def deployer_rules() -> list[dict[str, Any]]:
    """Make and change what a model endpoint is made of. No Secrets, no roles, no quota, no namespace: those are the platform's."""
    return [
        _rule("", ["services", "configmaps", "serviceaccounts", "persistentvolumeclaims"], _WRITE),
        _rule("apps", ["deployments"], _WRITE),
        _rule("autoscaling", ["horizontalpodautoscalers"], _WRITE),
        _rule("policy", ["poddisruptionbudgets"], _WRITE),
        _rule("networking.k8s.io", ["networkpolicies"], _WRITE),
        _rule("traefik.io", ["ingressroutes", "middlewares", "traefikservices"], _WRITE),
        _rule("monitoring.coreos.com", ["servicemonitors", "prometheusrules"], _WRITE),
        _rule("keda.sh", ["scaledobjects"], _WRITE),
        # What a rollout that fails is explained with.
        _rule("apps", ["replicasets"], _READ),
        _rule("", ["pods", "pods/log", "events", "endpoints"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        _rule("events.k8s.io", ["events"], _READ),
        _rule("", ["pods/portforward"], ["create"]),
        _credentials(),
    ]


def tunnel_rules() -> list[dict[str, Any]]:
    """In the namespaces of MLflow and Prefect: what `mlp tunnel` needs to forward a port, and no more."""
    return [
        _rule("", ["services", "pods"], ["get", "list"]),
        _rule("", ["pods/portforward"], ["create"]),
    ]


def _credentials() -> dict[str, Any]:
    return _rule("", ["secrets"], ["get"]) | {"resourceNames": [TEAM_CREDENTIALS_SECRET, PREFECT_AUTH_SECRET]}


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
