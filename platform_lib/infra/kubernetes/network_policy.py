"""Build NetworkPolicy specs: pod selectors, peers, ports and rules as plain data. Creates no resource."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from platform_lib.infra.base.labels import NAMESPACE_NAME

ALL_PODS: Final[Mapping[str, Any]] = {}
"""Pod selector of every pod in the namespace."""
SAME_NAMESPACE: Final[Mapping[str, Any]] = {"podSelector": {}}
"""Peer: every pod in the policy's own namespace."""
KUBERNETES_API_PORTS: Final = (443, 6443)
"""Where an API server listens: behind its Service, and on its own address."""
METADATA_ADDRESSES: Final = "169.254.0.0/16"
"""Where a cloud provider serves its nodes' credentials. No pod may connect to it."""


def policy_spec(
    pods: Mapping[str, Any],
    *,
    ingress: Sequence[Mapping[str, Any]] | None = None,
    egress: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Build the spec of a NetworkPolicy.

    Args:
        pods: Selector of the pods that the policy applies to; `ALL_PODS` for the whole namespace.
        ingress: Rules for incoming connections. None leaves incoming connections as they are; an empty list denies all.
        egress: Rules for outgoing connections, in the same way.
    """
    directions = {"ingress": ingress, "egress": egress}
    return {
        "podSelector": dict(pods),
        "policyTypes": [name.capitalize() for name, rules in directions.items() if rules is not None],
        **{name: [dict(rule) for rule in rules] for name, rules in directions.items() if rules},
    }


def closed_spec() -> dict[str, Any]:
    """Deny all traffic to and from every pod of the namespace; other policies then allow what is needed."""
    return policy_spec(ALL_PODS, ingress=[], egress=[])


def with_labels(labels: Mapping[str, str]) -> dict[str, Any]:
    """Pod selector: pods that have all these labels."""
    return {"matchLabels": dict(labels)}


def from_anywhere(*ports: int) -> dict[str, Any]:
    """Ingress rule: everyone may connect to these TCP ports."""
    return {"ports": _tcp(ports)}


def from_peers(peers: Iterable[Mapping[str, Any]], *ports: int) -> dict[str, Any]:
    """Ingress rule: these peers may connect to these TCP ports; without ports, to any."""
    return {"from": [dict(peer) for peer in peers], **({"ports": _tcp(ports)} if ports else {})}


def from_namespaces(names: Iterable[Any], *ports: int) -> dict[str, Any]:
    """Ingress rule: every pod of these namespaces may connect to these TCP ports."""
    return from_peers(map(namespace_peer, names), *ports)


def to_namespace(name: Any, *ports: int) -> dict[str, Any]:
    """Egress rule: connections to these TCP ports of a namespace's pods."""
    return {"to": [namespace_peer(name)], "ports": _tcp(ports)}


def to_labelled_namespaces(labels: Mapping[str, str] | str, *ports: int) -> dict[str, Any]:
    """Egress rule: connections to these TCP ports of the pods in every namespace with these labels.

    Args:
        labels: With their values, or the key of a label that may have any value.
        ports: Numbers of TCP ports.
    """
    wanted: dict[str, Any] = (
        {"matchExpressions": [{"key": labels, "operator": "Exists"}]}
        if isinstance(labels, str)
        else {"matchLabels": dict(labels)}
    )
    return {"to": [{"namespaceSelector": wanted}], "ports": _tcp(ports)}


def to_dns() -> dict[str, Any]:
    """Egress rule: lookups in the cluster's DNS."""
    return {
        "to": [namespace_peer("kube-system")],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }


def to_outside(*ports: int) -> dict[str, Any]:
    """Egress rule: connections to these TCP ports of any address except `METADATA_ADDRESSES`."""
    return {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [METADATA_ADDRESSES]}}], "ports": _tcp(ports)}


def to_database(port: int, namespace: str) -> dict[str, Any]:
    """Egress rule: connections to a database in this namespace, or outside the cluster when `namespace` is empty."""
    return to_namespace(namespace, port) if namespace else to_outside(port)


def namespace_peer(name: Any) -> dict[str, Any]:
    """Peer: every pod of a namespace.

    Args:
        name: The namespace's name; may be a Pulumi Output.
    """
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}


def _tcp(ports: Iterable[int]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": int(port)} for port in ports]
