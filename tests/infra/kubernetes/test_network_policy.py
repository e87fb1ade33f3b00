"""NetworkPolicy specs: what a missing direction, an empty list and each rule mean."""

from typing import Any

import pytest

from platform_lib.infra.kubernetes.network_policy import (
    ALL_PODS,
    SAME_NAMESPACE,
    closed_spec,
    from_anywhere,
    from_namespaces,
    from_peers,
    policy_spec,
    to_database,
    to_dns,
    to_namespace,
    to_outside,
    with_labels,
)
from platform_lib.names import Port

MLFLOW_PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlp-mlflow"}}}
OUTSIDE_PEERS = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::/32", "fd20:ce::/32"]}},
]


def tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def test_a_closed_namespace_denies_both_directions_for_every_pod() -> None:
    assert closed_spec() == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_direction_that_is_not_given_is_not_restricted() -> None:
    spec = policy_spec(with_labels({"app": "web"}), ingress=[from_anywhere(80)])
    assert spec == {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": tcp(80)}],
    }


def test_an_empty_direction_is_denied() -> None:
    spec = policy_spec(ALL_PODS, ingress=[], egress=[to_namespace("mlp-mlflow", 80)])
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    assert spec["egress"] == [{"to": [MLFLOW_PEER], "ports": tcp(80)}]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (from_namespaces(["mlp-mlflow"], 80, 443), {"from": [MLFLOW_PEER], "ports": tcp(80, 443)}),
        (from_peers([SAME_NAMESPACE]), {"from": [{"podSelector": {}}]}),
        (to_outside(443), {"to": OUTSIDE_PEERS, "ports": tcp(443)}),
        (to_database(5432, "mlp-mlflow"), {"to": [MLFLOW_PEER], "ports": tcp(5432)}),
        (to_database(5432, ""), {"to": OUTSIDE_PEERS, "ports": tcp(5432)}),
    ],
    ids=["namespaces", "any-port", "outside", "database-in-the-cluster", "database-outside"],
)
def test_a_rule_names_peers_and_tcp_ports(rule: dict[str, Any], expected: dict[str, Any]) -> None:
    assert rule == expected


def test_dns_is_reached_over_udp_and_tcp() -> None:
    for rule in to_dns():
        assert [port["protocol"] for port in rule["ports"]] == ["UDP", "TCP"]


def test_ports_are_plain_numbers() -> None:
    port = from_anywhere(Port.MLFLOW)["ports"][0]["port"]
    assert type(port) is int
