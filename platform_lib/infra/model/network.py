"""Who reaches a model server and whom it reaches: NetworkPolicy, route and rate limit, as data. `model_endpoint` applies them."""

from typing import Any
from urllib.parse import urlsplit

from platform_lib.infra.kubernetes.network_policy import (
    SAME_NAMESPACE,
    from_namespaces,
    from_peers,
    namespace_peer,
    policy_spec,
    to_dns,
    to_namespace,
    to_outside,
    with_labels,
)
from platform_lib.names import Port, SharedOutputs


def network_policy_spec(
    shared: SharedOutputs, *, selector: dict[str, str], public: bool, outside_ports: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Spec of the NetworkPolicy: Traefik and the own namespace ask, Prometheus scrapes; DNS and MLflow are asked.

    Args:
        outside_ports: TCP ports that may be reached anywhere but on the node's own metadata address: for a bucket or an OIDC issuer.
    """
    callers = [SAME_NAMESPACE, *([namespace_peer(shared.ingress_namespace)] if public else [])]
    mlflow = urlsplit(shared.mlflow_url)
    mlflow_namespace = (mlflow.hostname or "").split(".")[1]
    return policy_spec(
        with_labels(selector),
        ingress=[
            from_peers(callers, Port.MODEL_SERVER),
            from_namespaces([shared.monitoring_namespace], Port.METRICS),
        ],
        egress=[
            to_dns(),
            to_namespace(mlflow_namespace, mlflow.port or 80),
            *([to_outside(*outside_ports)] if outside_ports else []),
        ],
    )


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
