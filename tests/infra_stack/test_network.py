"""Which connections the stack's NetworkPolicies allow: lifelines are open on every kind of cluster."""

from collections.abc import Iterator
from typing import Any

import pytest

from platform_lib.infra.policy.rules import violations
from tests.infra.harness.declared import declared
from tests.infra.harness.graph import Graph
from tests.infra.harness.network import Network, Node, Pod, pods
from tests.infra.stacks import prefect_urls, run_stack

LOGIN = Pod(namespace="mlp-auth", labels={"app.kubernetes.io/name": "oauth2-proxy"})
TRAINING = Pod(namespace="team-churn", labels={"batch.kubernetes.io/job-name": "train-1"})
MODEL = Pod(
    namespace="team-churn", labels={"app.kubernetes.io/name": "churn", "app.kubernetes.io/component": "model-server"}
)
TRAEFIK = Pod(namespace="mlp-ingress", labels={"app.kubernetes.io/name": "traefik"})
METADATA = ("169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe")
DNS: dict[str, tuple[Pod | str, int]] = {  # kind of cluster → where its DNS answers
    "pods": (Pod(namespace="kube-system", labels={"k8s-app": "kube-dns"}), 53),
    "NodeLocal DNSCache": ("169.254.20.10", 53),
    "Cloud DNS": ("169.254.169.254", 53),
    "OpenShift": (Pod(namespace="openshift-dns"), 5353),
}


@pytest.fixture(scope="module")
def team() -> Graph:
    return run_stack("team")


def named(graph: Graph, name: str) -> Pod:
    [pod] = [pod for pod in pods(graph) if pod.labels["app.kubernetes.io/name"] == name]
    return pod


def everybody(graph: Graph) -> Iterator[Pod]:
    yield from pods(graph)
    yield from (LOGIN, TRAINING, MODEL, TRAEFIK)


@pytest.mark.parametrize("cluster", DNS)
@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_every_pod_resolves_names(team: Graph, cluster: str, protocol: str) -> None:
    network, (server, port) = Network(team), DNS[cluster]
    assert [pod for pod in everybody(team) if not network.leaves(pod, server, port, protocol)] == []


def test_an_address_of_a_cache_that_listens_elsewhere_is_a_setting() -> None:
    assert not Network(run_stack("team")).leaves(MODEL, "169.254.25.10", 53, "UDP")
    graph = run_stack("team", egress=["all=169.254.25.10/32:53", "all=fd00::a/128:53"])
    network, closed = Network(graph), [pod for pod in everybody(graph) if pod is not TRAEFIK]
    assert [pod for pod in closed if not network.leaves(pod, "169.254.25.10", 53, "UDP")] == []
    assert [pod for pod in closed if not network.leaves(pod, "fd00::a", 53, "TCP")] == []


@pytest.mark.parametrize("cilium", [False, True])
@pytest.mark.parametrize("port", [443, 6443, 8443, 16443])
def test_what_calls_the_api_server_reaches_it_on_a_node(team: Graph, cilium: bool, port: int) -> None:
    network = Network(team, cilium=cilium)
    callers = [TRAEFIK, *(pod for pod in pods(team) if pod.labels["app.kubernetes.io/component"] == "worker")]
    assert len(callers) == 3
    assert [pod for pod in callers if not network.leaves(pod, Node(), port)] == []
    assert [pod for pod in callers if not network.leaves(pod, "fd00::1", port)] == []


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("port", [80, 8080])
def test_no_pod_reaches_the_credentials_of_its_node(team: Graph, address: str, port: int) -> None:
    network = Network(team)
    assert [pod for pod in everybody(team) if network.leaves(pod, address, port)] == []


def test_only_what_calls_the_api_server_may_use_its_ports_at_the_metadata_address(team: Graph) -> None:
    network = Network(team)
    assert not any(network.leaves(pod, "169.254.169.254", 443) for pod in (LOGIN, TRAINING, MODEL))


def test_pods_with_an_identity_of_their_own_get_its_credentials() -> None:
    graph = run_stack("team", s3_access_key_id="", s3_secret_access_key="")
    network, mlflow = Network(graph), named(graph, "mlflow")
    for agent in ("169.254.170.23", "fd00:ec2::23"):
        assert network.leaves(mlflow, agent, 80) and network.leaves(TRAINING, agent, 80)
    assert network.leaves(mlflow, "52.95.1.1", 443)  # where the agent's keys, or those of IRSA, come from
    assert not Network(run_stack("team")).leaves(mlflow, "169.254.170.23", 80), "it has keys"


def test_services_outside_are_reached_by_ipv6_too(team: Graph) -> None:
    network, outside = Network(team), "2001:db8::1"
    assert network.leaves(LOGIN, outside, 443) and network.leaves(TRAINING, outside, 443)
    assert network.leaves(named(team, "mlflow"), outside, 443) and network.leaves(named(team, "mlflow"), outside, 5432)
    assert not network.leaves(TRAINING, outside, 22)


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://minio.storage.svc:9000", 9000), ("https://minio.storage.svc.cluster.local", 9000)],
)
def test_stores_and_databases_in_the_cluster_are_reached_under_cilium(endpoint: str, port: int) -> None:
    urls: dict[str, Any] = {
        f"{name}_database_url": f"postgresql://{name}:secret@main-rw.databases.svc:5432/{name}"
        for name in ("mlflow", "prefect")
    }
    own = [entry.replace("db.example.com", "main-rw.databases.svc") for entry in prefect_urls("churn", "fraud")]
    graph = run_stack("team", s3_endpoint=endpoint, team_prefect_database_urls=own, **urls)
    network, mlflow = Network(graph, cilium=True), named(graph, "mlflow")
    assert network.leaves(mlflow, Pod(namespace="storage"), port)
    assert not network.leaves(mlflow, Pod(namespace="other"), port)
    servers = [pod for pod in pods(graph) if pod.labels["app.kubernetes.io/name"] == "prefect-server"]
    assert len(servers) == 3
    for pod in (mlflow, *servers):
        assert network.leaves(pod, Pod(namespace="databases"), 5432)
    assert not network.leaves(TRAINING, Pod(namespace="databases"), 5432)


@pytest.mark.parametrize(
    ("issuer", "to", "port"),
    [
        ("https://keycloak.example.com:8443/realms/ml", "203.0.113.7", 8443),
        ("https://keycloak.iam.svc:8443/realms/ml", Pod(namespace="iam"), 8443),
    ],
)
def test_the_login_reaches_its_issuer_on_any_port(issuer: str, to: Any, port: int) -> None:
    network = Network(run_stack("team", oidc_issuer=issuer), cilium=True)
    assert network.leaves(LOGIN, to, port) and network.leaves(LOGIN, "203.0.113.7", 443)
    assert not Network(run_stack("team")).leaves(LOGIN, to, port)


def test_more_destinations_are_a_setting() -> None:
    graph = run_stack("team", egress=["team-churn=10.0.0.0/8:5432", "teams=feature-store:6566", "mlflow=::/0:9443"])
    network, fraud = Network(graph), Pod(namespace="team-fraud")
    assert network.leaves(MODEL, "10.4.5.6", 5432) and not network.leaves(fraud, "10.4.5.6", 5432)
    assert network.leaves(MODEL, Pod(namespace="feature-store"), 6566)
    assert network.leaves(fraud, Pod(namespace="feature-store"), 6566)
    mlflow = named(graph, "mlflow")
    assert network.leaves(mlflow, "2001:db8::1", 9443) and not network.leaves(mlflow, "fd00:ec2::254", 9443)
    [namespace] = [r.inputs for r in graph.kubernetes("Namespace") if r.inputs["metadata"]["name"] == "team-churn"]
    assert namespace["metadata"]["annotations"]["mlp.platform/outside-ports"] == "443,5432", "its policies may name it"
    assert violations(declared(graph)) == []


@pytest.mark.parametrize(
    "entry",
    [
        "mlflow=169.254.169.254/32:80",
        "teams=169.254.0.0/17:443",
        "all=fd00:ec2::254/128:80",
        "mlflow=storage",
        "mlflow=10.0.0.0/8:0",
        "mlflow=fd00::a:53",
        "everyone=10.0.0.0/8:443",
        "team-Churn=10.0.0.0/8:443",
    ],
)
def test_an_entry_that_opens_credentials_or_names_nothing_is_refused(entry: str) -> None:
    with pytest.raises(Exception, match=r"egress\[0\] is .*: write PODS=CIDR:PORT or PODS=NAMESPACE:PORT"):
        run_stack("team", egress=[entry])


def test_an_unknown_team_in_egress_is_refused() -> None:
    with pytest.raises(Exception, match=r"egress\[0\] names team-blue: the teams are churn, fraud"):
        run_stack("team", egress=["team-blue=10.0.0.0/8:443"])


@pytest.mark.parametrize(
    ("endpoint", "to", "port"),
    [
        ("https://minio.example.com:9000", "203.0.113.7", 9000),
        ("http://minio.storage.svc:9000", Pod(namespace="storage"), 9000),
        ("", "52.95.1.1", 443),
    ],
)
def test_model_servers_reach_the_store_of_their_request_logs_and_other_pods_do_not(
    endpoint: str, to: Any, port: int
) -> None:
    network = Network(run_stack("team", s3_endpoint=endpoint), cilium=True)
    assert network.leaves(MODEL, to, port)
    assert not network.leaves(Pod(namespace="team-churn", labels={"app": "notebook"}), to, port)
