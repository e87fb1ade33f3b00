"""Who reaches a model server and whom it reaches: NetworkPolicy, route and rate limit, as data. `model_endpoint` applies them."""

from typing import Any
from urllib.parse import urlsplit

from platform_lib.names import Port, SharedOutputs

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def network_policy_spec(
    shared: SharedOutputs, *, selector: dict[str, str], public: bool, outside_ports: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Spec of the NetworkPolicy: Traefik and the own namespace ask, Prometheus scrapes; DNS and MLflow are asked.

    Args:
        outside_ports: TCP ports that may be reached anywhere but on the node's own metadata address: for a bucket or an OIDC issuer.
    """
    asks: list[dict[str, Any]] = [{"podSelector": {}}]
    if public:
        asks.append(_namespace(shared.ingress_namespace))
    mlflow = urlsplit(shared.mlflow_url)
    egress: list[dict[str, Any]] = [
        {
            "to": [_namespace("kube-system")],
            "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
        },
        {"to": [_namespace((mlflow.hostname or "").split(".")[1])], "ports": [_tcp(mlflow.port or 80)]},
    ]
    if outside_ports:
        everywhere = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}
        egress.append({"to": [everywhere], "ports": [_tcp(port) for port in outside_ports]})
    return {
        "podSelector": {"matchLabels": selector},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": asks, "ports": [_tcp(Port.MODEL_SERVER)]},
            {"from": [_namespace(shared.monitoring_namespace)], "ports": [_tcp(Port.METRICS)]},
        ],
        "egress": egress,
    }


def route_spec(shared: SharedOutputs, model: str, middlewares: list[Any]) -> dict[str, Any]:
    """Spec of the IngressRoute. The prefix ends with a slash, else `/models/churn` would also take what belongs to `churn-two`."""
    return {
        "entryPoints": ["websecure"],
        "routes": [
            {
                "kind": "Rule",
                "match": f"Host(`{shared.models_host}`) && PathPrefix(`/models/{model}/`)",
                "middlewares": [{"name": name} for name in middlewares],
                "services": [{"name": model, "port": int(Port.MODEL_SERVER)}],
            }
        ],
        "tls": {},
    }


def strip_spec(model: str) -> dict[str, Any]:
    """Middleware: the server knows nothing of its prefix."""
    return {"stripPrefix": {"prefixes": [f"/models/{model}"]}}


def limit_spec(average_per_s: int, burst: int) -> dict[str, Any]:
    """Middleware: requests of one address, at each Traefik."""
    return {"rateLimit": {"average": average_per_s, "period": "1s", "burst": burst}}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_LABEL: name}}}


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": int(port)}
