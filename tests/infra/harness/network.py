"""Evaluate the NetworkPolicies of a resource graph: may this pod connect there?"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from platform_lib.infra.base.labels import NAMESPACE_NAME
from tests.infra.harness.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod as policies see it."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ip: str = "10.1.2.3"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node, or what runs in its network, such as an API server that is no pod."""

    ip: str = "10.0.0.5"


class Network:
    """The NetworkPolicies of a graph, as a network plug-in evaluates them."""

    def __init__(self, graph: Graph, *, cilium: bool = False) -> None:
        """Read the policies.

        Args:
            graph: The resources.
            cilium: Whether address blocks match addresses outside the cluster only, as in Cilium.
        """
        self._policies = [resource.inputs for resource in graph.kubernetes("NetworkPolicy")]
        self._namespaces = {
            made["name"]: made.get("labels") or {}
            for made in (resource.inputs["metadata"] for resource in graph.kubernetes("Namespace"))
        }
        self._cilium = cilium

    def leaves(self, pod: Pod, to: "Pod | Node | str", port: int, protocol: str = "TCP") -> bool:
        """Whether the pod may open a connection to a pod, a node or an address outside the cluster."""
        chosen = [
            policy["spec"]
            for policy in self._policies
            if policy["metadata"]["namespace"] == pod.namespace
            and "Egress" in policy["spec"]["policyTypes"]
            and _matches(policy["spec"]["podSelector"], pod.labels)
        ]
        return not chosen or any(
            self._rule(rule, pod, to, port, protocol) for spec in chosen for rule in spec.get("egress") or []
        )

    def _rule(self, rule: Mapping[str, Any], pod: Pod, to: "Pod | Node | str", port: int, protocol: str) -> bool:
        ports = rule.get("ports")
        if ports and not any(entry.get("protocol", "TCP") == protocol and entry["port"] == port for entry in ports):
            return False
        peers = rule.get("to")
        return not peers or any(self._peer(peer, pod, to) for peer in peers)

    def _peer(self, peer: Mapping[str, Any], pod: Pod, to: "Pod | Node | str") -> bool:
        if "ipBlock" in peer:
            if self._cilium and not isinstance(to, str):
                return False
            address = ipaddress.ip_address(to if isinstance(to, str) else to.ip)
            block = peer["ipBlock"]
            return _within(address, block["cidr"]) and not any(_within(address, one) for one in block.get("except", []))
        if not isinstance(to, Pod):
            return False
        if "namespaceSelector" in peer:
            known = {NAMESPACE_NAME: to.namespace, **self._namespaces.get(to.namespace, {})}
            if not _matches(peer["namespaceSelector"], known):
                return False
        elif to.namespace != pod.namespace:
            return False
        return _matches(peer.get("podSelector") or {}, to.labels)


def pods(graph: Graph) -> Iterator[Pod]:
    """One pod of each Deployment in the graph."""
    for resource in graph.kubernetes("Deployment"):
        labels = resource.inputs["spec"]["template"]["metadata"]["labels"]
        yield Pod(namespace=resource.inputs["metadata"]["namespace"], labels=labels)


def _within(address: Any, cidr: str) -> bool:
    network = ipaddress.ip_network(cidr)
    return address.version == network.version and address in network


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for entry in selector.get("matchExpressions") or []:
        present, value = entry["key"] in labels, labels.get(entry["key"])
        if (entry["operator"] == "Exists" and not present) or (
            entry["operator"] == "In" and value not in entry["values"]
        ):
            return False
        assert entry["operator"] in ("Exists", "In"), entry
    return True
