"""`mlp platform preflight` on a real API server whose cluster is prepared in several ways."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Called
from tests.engines import need_engine
from tests.k8slab.lab import Lab
from tests.operations.projects import Project

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

THEIRS = "theirs"
CLASS = """apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik, annotations: {meta.helm.sh/release-namespace: kube-system}}
spec: {controller: traefik.io/ingress-controller}
"""
DEFINITION = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.GROUP}
spec:
  group: GROUP
  names: {kind: KIND, plural: PLURAL}
  scope: SCOPE
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""


def definition(kind: str, group: str, scope: str = "Namespaced") -> str:
    plural = f"{kind.lower()}s" if not kind.endswith("us") else f"{kind.lower()}es"
    return DEFINITION.replace("PLURAL", plural).replace("GROUP", group).replace("KIND", kind).replace("SCOPE", scope)


@pytest.fixture
def kubectl_reaches(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the real kubectl on PATH, with the lab's cluster."""

    def put() -> None:
        monkeypatch.setenv("PATH", str(need_engine("kubectl").parent), prepend=":")
        monkeypatch.setenv("KUBECONFIG", str(lab.kubeconfig))

    return put


@pytest.fixture
def examine(
    lab: Lab, kubectl_reaches: Callable[..., None], call_mlp: Callable[..., Called], tmp_path: Path
) -> Iterator[Callable[[], tuple[int, dict[str, Any]]]]:
    kubectl_reaches()

    def run() -> tuple[int, dict[str, Any]]:
        done = call_mlp(Project(tmp_path), "platform", "preflight", "--json")
        assert done.code in (0, 1), done.err
        return done.code, json.loads(done.out)

    definitions = set(lab.kubectl("get", "crds", "-o", "name").stdout.split())
    for name in definitions:  # left by other tests' charts
        lab.kubectl("delete", name, "--wait=true")
    lab.kubectl("create", "namespace", THEIRS)
    yield run
    lab.kubectl("delete", "namespace", THEIRS)
    lab.kubectl("delete", "ingressclass", "traefik", "--ignore-not-found")
    for name in lab.kubectl("get", "crds", "-o", "name").stdout.split():
        lab.kubectl("delete", name, "--wait=true")


def areas(found: dict[str, Any], level: str) -> dict[str, str]:
    return {item["area"]: item["text"] for item in found["findings"] if item["level"] == level}


def run_operator(lab: Lab, name: str) -> None:
    lab.kubectl("create", "deployment", name, "--image=operator", "-n", THEIRS)
    lab.kubectl("rollout", "status", f"deployment/{name}", "-n", THEIRS, "--timeout=60s")


def test_an_empty_cluster_needs_no_settings_and_a_lost_default_class_is_a_problem(
    lab: Lab, examine: Callable[[], tuple[int, dict[str, Any]]]
) -> None:
    code, found = examine()
    assert (code, areas(found, "problem")) == (0, {})
    assert found["settings"] == {"use_existing": [], "ingress_class": "", "cluster_issuers": []}
    assert areas(found, "ok")["storage"] == "the default storage class is standard."

    mark = "storageclass.kubernetes.io/is-default-class"
    lab.kubectl("annotate", "storageclass", "standard", f"{mark}-")
    try:
        code, found = examine()
    finally:
        lab.kubectl("annotate", "storageclass", "standard", f"{mark}=true")
    assert (code, set(areas(found, "problem"))) == (1, {"storage"})
    remedies = [item["remedy"] for item in found["findings"] if item["area"] == "storage"]
    assert remedies == ["`pulumi config set storage_class standard`, or the one that you want."]


def test_what_the_cluster_has_becomes_settings_and_definitions_without_an_operator_a_problem(
    lab: Lab, examine: Callable[[], tuple[int, dict[str, Any]]]
) -> None:
    kinds = [("Certificate", "cert-manager.io"), ("Prometheus", "monitoring.coreos.com"), ("ScaledObject", "keda.sh")]
    for kind, group in kinds:
        lab.kubectl("create", "-f", "-", text=definition(kind, group))
    lab.kubectl("create", "-f", "-", text=definition("ClusterIssuer", "cert-manager.io", "Cluster"))
    lab.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "company"}}
    lab.kubectl("create", "-f", "-", text=json.dumps(issuer))
    lab.kubectl("create", "-f", "-", text=CLASS)
    for name in ("cert-manager", "keda-operator"):
        run_operator(lab, name)

    code, found = examine()
    assert code == 1
    assert "no running operator was found" in areas(found, "problem")["prometheus-operator"]
    assert "belongs to another Traefik" in areas(found, "note")["ingress"]
    assert found["settings"] == {
        "use_existing": ["cert-manager", "keda=theirs"],
        "ingress_class": "mlp-traefik",
        "cluster_issuers": ["company"],
    }
    lab.kubectl("delete", "crd", "prometheuses.monitoring.coreos.com", "--wait=true")
    assert examine()[0] == 0


def test_it_prints_commands_to_paste_and_says_what_a_reader_may_not_do(
    lab: Lab,
    examine: Callable[[], tuple[int, dict[str, Any]]],
    call_mlp: Callable[..., Called],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab.kubectl("create", "-f", "-", text=CLASS)
    done = call_mlp(Project(tmp_path), "platform", "preflight")
    assert done.code == 0 and "\npulumi config set ingress_class mlp-traefik" in done.out, done.out

    lab.kubectl("create", "serviceaccount", "reader", "-n", THEIRS)
    token = lab.kubectl("create", "token", "reader", "-n", THEIRS).stdout.strip()
    config = json.loads(lab.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "reader"
    path.write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    code, found = examine()
    assert code == 1 and "you may not create namespaces, secrets" in areas(found, "problem")["rights"]
    assert areas(found, "note")["rights"].startswith("could not be read: nodes, classes")


def test_a_cluster_that_is_away_is_reported_once(
    lab: Lab,
    kubectl_reaches: Callable[..., None],
    call_mlp: Callable[..., Called],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubectl_reaches()
    config = json.loads(lab.kubeconfig.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "away"
    path.write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    done = call_mlp(Project(tmp_path), "platform", "preflight")
    assert done.code == 3 and done.err.count("connect") == 1, done.err
