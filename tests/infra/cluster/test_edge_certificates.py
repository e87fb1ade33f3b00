"""Certificates at a real Traefik: challenges by HTTP, and one team's missing certificate."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.infra.base.naming import INGRESS_NAMESPACE
from tests.infra.certificates import Authority, tls_secret
from tests.infra.edge_client import handshake
from tests.infra.edge_lab import Edge
from tests.infra.harness.apply import RELEASE, Stack, wait_until
from tests.infra.harness.graph import Graph
from tests.infra.stacks import run_stack
from tests.k8slab.lab import Lab
from tests.k8slab.network import Network

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

SOLVER = "cm-acme-http-solver"
HOSTS = {name: f"prefect-{name}.ml.example.com" for name in ("churn", "fraud")}


@pytest.fixture(scope="module")
def graph(chart_mirror: Path) -> Graph:
    return run_stack("team", chart_mirror=str(chart_mirror))


@pytest.fixture(scope="module")
def edge(lab: Lab, network: Network, graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Traefik with the values of the team example, and a pod as cert-manager starts it for a challenge."""
    stack = Stack(lab, tmp_path_factory.mktemp("edge"))
    traefik = next(r.inputs for r in graph.of(RELEASE) if r.inputs["name"] == "traefik")
    lab.kubectl("create", "namespace", INGRESS_NAMESPACE)
    authority = Authority(tmp_path_factory.mktemp("authority"))
    stop_later = ExitStack()
    try:
        stack.releases.upgrade(traefik)
        lab.kubectl("create", "deployment", SOLVER, "--image=solver", "--port=8089", "-n", INGRESS_NAMESPACE)
        lab.kubectl("expose", "deployment", SOLVER, "--port=8089", "-n", INGRESS_NAMESPACE)
        made = stop_later.enter_context(Edge(network, authority.context()))
        wait_until(lambda: bool(made.endpoints(INGRESS_NAMESPACE, SOLVER)), "no pod of the solver")
        strict = {"apiVersion": "traefik.io/v1alpha1", "kind": "TLSOption", "spec": {"sniStrict": True}}
        made.objects.apply({**strict, "metadata": {"name": "default", "namespace": INGRESS_NAMESPACE}})
        for team, host in HOSTS.items():
            certificate = tls_secret(f"edge-certificate-{team}", INGRESS_NAMESPACE, *authority.issue(team, [host]))
            made.objects.apply(certificate)
        for shown in graph.kubernetes("Ingress"):
            made.objects.apply(shown.inputs)
        made.traefik(INGRESS_NAMESPACE, "traefik", traefik["values"])
        made.fake_service("echo", INGRESS_NAMESPACE, SOLVER)
        yield made
    finally:
        stop_later.close()
        stack.releases.uninstall(traefik)
        lab.kubectl("delete", "namespace", INGRESS_NAMESPACE)


def challenge(name: str, host: str, solver: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    """The Ingress that cert-manager creates for a challenge."""
    backend = {"service": {"name": SOLVER, "port": {"number": 8089}}}
    path = {"path": f"/.well-known/acme-challenge/{name}", "pathType": "Exact", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": INGRESS_NAMESPACE, "annotations": annotations},
        "spec": {
            "ingressClassName": solver["ingressClassName"],
            "rules": [{"host": host, "http": {"paths": [path]}}],
        },
    }


def test_a_challenge_is_answered_for_a_host_with_and_without_a_certificate(edge: Edge, graph: Graph) -> None:
    [issuer] = graph.kubernetes("ClusterIssuer")
    solver = issuer.inputs["spec"]["acme"]["solvers"][0]["http01"]["ingress"]
    annotations = solver["ingressTemplate"]["metadata"]["annotations"]
    hosts = {"new": "prefect-new.ml.example.com", "renewed": HOSTS["churn"]}
    edge.objects.apply(challenge("plain", hosts["new"], solver, {}))
    for name, host in hosts.items():
        edge.objects.apply(challenge(name, host, solver, annotations))

    def answer(name: str, host: str) -> httpx.Response:
        with edge.http() as client:
            return client.get(f"http://{host}/.well-known/acme-challenge/{name}")

    for name, host in hosts.items():
        wait_until(lambda name=name, host=host: answer(name, host).status_code == 200, f"no answer for {host}")  # type: ignore[misc]
    assert answer("plain", hosts["new"]).status_code != 200  # cert-manager's own Ingress gets no route by HTTP
    assert answer("other", hosts["new"]).status_code in (301, 404)


def test_a_team_without_a_certificate_does_not_keep_another_from_its_own(edge: Edge) -> None:
    def has_certificate(team: str) -> bool:
        try:
            return bool(handshake(edge.network, HOSTS[team]))
        except (ssl.SSLError, ConnectionError):
            return False

    for team in HOSTS:
        wait_until(lambda team=team: has_certificate(team), f"no certificate for {team}")  # type: ignore[misc]
    edge.lab.kubectl("delete", "secret", "edge-certificate-churn", "-n", INGRESS_NAMESPACE)
    wait_until(lambda: not has_certificate("churn"), "the certificate is still served")
    assert has_certificate("fraud")
