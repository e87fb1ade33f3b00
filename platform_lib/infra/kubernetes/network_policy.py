"""Build NetworkPolicy specs: pod selectors, peers, ports and rules as plain data. Creates no resource."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from platform_lib.infra.base.addresses import (
    API_SERVER_PORTS,
    DNS_ADDRESSES,
    DNS_PORT,
    EVERYWHERE,
    POD_IDENTITY_ADDRESSES,
    Destination,
    cluster_namespace,
    metadata_within,
)
from platform_lib.infra.base.labels import NAMESPACE_NAME

ALL_PODS: Final[Mapping[str, Any]] = {}
"""Pod selector of every pod in the namespace."""
SAME_NAMESPACE: Final[Mapping[str, Any]] = {"podSelector": {}}
"""Peer: every pod in the policy's own namespace."""
STORE_POD_PORTS: Final = (8080, 9000)
"""Where pods of S3-compatible stores listen (Ceph, MinIO). A NetworkPolicy sees the pod's port, not its Service's."""


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


def to_dns() -> list[dict[str, Any]]:
    """Egress rules: lookups in the cluster's DNS.

    Its pods are in `kube-system`, or listen on port 5353 of `openshift-dns`. NodeLocal DNSCache and Google's Cloud DNS
    are no pods of a namespace; where a cache listens elsewhere, the setting `egress` adds its address.
    """
    return [
        {"to": [namespace_peer("kube-system"), *map(_block, DNS_ADDRESSES)], "ports": _udp_and_tcp(DNS_PORT)},
        {"to": [namespace_peer("openshift-dns")], "ports": _udp_and_tcp(5353)},
    ]


def to_cluster_dns() -> dict[str, Any]:
    """Egress rule: the part of `to_dns` that a team may open itself."""
    return {"to": [namespace_peer("kube-system")], "ports": _udp_and_tcp(DNS_PORT)}


def to_api_server() -> dict[str, Any]:
    """Egress rule: connections to the API server.

    It names ports only: no selector matches the API server, and for some network plug-ins (Cilium) no address does,
    because it runs on a node.
    """
    return {"ports": _tcp(API_SERVER_PORTS)}


def to_pod_identity() -> dict[str, Any]:
    """Egress rule: requests for the credentials of the pod's own identity (EKS Pod Identity)."""
    return {"to": list(map(_block, POD_IDENTITY_ADDRESSES)), "ports": _tcp([80])}


def to_outside(*ports: int) -> dict[str, Any]:
    """Egress rule: connections to these TCP ports of any address except those where clouds serve credentials."""
    return {"to": list(map(_block, EVERYWHERE)), "ports": _tcp(ports)}


def to_database(port: int, namespace: str) -> dict[str, Any]:
    """Egress rule: connections to a database in this namespace, or outside the cluster when `namespace` is empty."""
    return to_namespace(namespace, port) if namespace else to_outside(port)


def to_urls(*urls: str) -> list[dict[str, Any]]:
    """Egress rules: connections to the hosts of `http://` and `https://` addresses. Empty addresses are left out.

    The name of a Service, such as `http://minio.storage.svc:9000`, opens its namespace: an address block matches no
    pods under some network plug-ins (Cilium). On port 80 or 443, it opens `STORE_POD_PORTS` there as well.
    """
    rules: list[dict[str, Any]] = []
    for parts in map(urlsplit, filter(None, urls)):
        port = parts.port or (80 if parts.scheme == "http" else 443)
        namespace = cluster_namespace(parts.hostname or "")
        ports = sorted({port, *(STORE_POD_PORTS if port in (80, 443) else ())})
        rule = to_namespace(namespace, *ports) if namespace else to_outside(port)
        if rule not in rules:
            rules.append(rule)
    return rules


def to_destination(destination: Destination) -> dict[str, Any]:
    """Egress rule: connections to one entry of the setting `egress`."""
    peer = namespace_peer(destination.namespace) if destination.namespace else _block(destination.network)
    is_dns = destination.port == DNS_PORT
    return {"to": [peer], "ports": _udp_and_tcp(DNS_PORT) if is_dns else _tcp([destination.port])}


def namespace_peer(name: Any) -> dict[str, Any]:
    """Peer: every pod of a namespace.

    Args:
        name: The namespace's name; may be a Pulumi Output.
    """
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}


def _tcp(ports: Iterable[int]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": int(port)} for port in ports]


def _udp_and_tcp(port: int) -> list[dict[str, Any]]:
    return [{"protocol": protocol, "port": port} for protocol in ("UDP", "TCP")]


def _block(cidr: str) -> dict[str, Any]:
    without = metadata_within(ipaddress.ip_network(cidr))
    return {"ipBlock": {"cidr": cidr, **({"except": without} if without else {})}}
