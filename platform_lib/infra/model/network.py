"""NetworkPolicy, route and rate limit of a model endpoint, as plain data."""

from typing import Any
from urllib.parse import urlsplit

from platform_lib.infra.kubernetes.network_policy import (
    SAME_NAMESPACE,
    from_namespaces,
    from_peers,
    namespace_peer,
    policy_spec,
    to_cluster_dns,
    to_namespace,
    to_outside,
    with_labels,
)
from platform_lib.names import Port, SharedOutputs


def network_policy_spec(
    shared: SharedOutputs, *, selector: dict[str, str], public: bool, outside_ports: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Build the spec of the NetworkPolicy.

    Pods of the namespace, Traefik (if public) and Prometheus may connect; the server may connect to DNS and MLflow.

    Args:
        shared: Outputs of the shared stack.
        selector: Labels of the model server's pods.
        public: Whether the endpoint has a route from outside.
        outside_ports: TCP ports that the server may connect to outside the cluster, for a bucket or an OIDC issuer.
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
            to_cluster_dns(),  # the team's own policy `platform-services` opens every other DNS server
            to_namespace(mlflow_namespace, mlflow.port or 80),
            *([to_outside(*outside_ports)] if outside_ports else []),
        ],
    )


def outside_ports(shared: SharedOutputs, request_log: str, oidc_issuer: str, ports: tuple[int, ...]) -> tuple[int, ...]:
    """Return the ports outside for the bucket of the request log and the issuer; none if the endpoint uses neither."""
    if not oidc_issuer and not (request_log == "auto" and shared.request_log_uri):
        return ()
    own = urlsplit(oidc_issuer).port
    return tuple(dict.fromkeys([*ports, *([own] if own else [])]))


def route_spec(shared: SharedOutputs, model: str, middlewares: list[Any]) -> dict[str, Any]:
    """Build the spec of the IngressRoute. Its prefix ends with a slash, so that `churn` does not match `churn-two`."""
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
    """Build the spec of the middleware that removes the prefix, which the server does not know."""
    return {"stripPrefix": {"prefixes": [f"/models/{model}"]}}


def limit_spec(average_per_s: int, burst: int) -> dict[str, Any]:
    """Build the spec of the middleware that limits requests per client address, in each Traefik replica."""
    return {"rateLimit": {"average": average_per_s, "period": "1s", "burst": burst}}
