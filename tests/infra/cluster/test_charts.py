"""The order in which charts can be installed on an empty cluster: stub charts everywhere, real ones with MLP_CHARTS."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from platform_lib.infra.base.naming import INGRESS_NAMESPACE, MONITORING_NAMESPACE
from tests.infra.harness.apply import Stack
from tests.infra.harness.graph import Graph
from tests.infra.harness.objects import Reference, Refused
from tests.infra.stacks import run_stack
from tests.k8slab.lab import Lab

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

RELEASE = "kubernetes:helm.sh/v3:Release"
LEFT_BEHIND = {"CustomResourceDefinition"}  # with them every object of theirs would go


def changed(release: Mapping[str, Any], *path: str, value: Any) -> dict[str, Any]:
    """A release's inputs with one other value."""
    key, *rest = path
    inner = value if not rest else changed(release.get(key) or {}, *rest, value=value)
    return {**release, key: inner}


@pytest.fixture(params=["stub", "real"])
def charts(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue("chart_mirror" if request.param == "stub" else "real_charts")
    return found


@pytest.fixture
def stack(lab: Lab, tmp_path: Path) -> Iterator[Stack]:
    made = Stack(lab, tmp_path)
    spaces = (INGRESS_NAMESPACE, MONITORING_NAMESPACE)
    for name in spaces:
        lab.kubectl("create", "namespace", name)
    try:
        yield made
    finally:
        for release in ("kube-prometheus-stack", "cert-manager"):
            space = MONITORING_NAMESPACE if release.startswith("kube") else INGRESS_NAMESPACE
            made.releases.uninstall({"name": release, "namespace": space})
        lab.kubectl("delete", "namespace", *spaces)


def releases(graph: Graph) -> dict[str, dict[str, Any]]:
    return {item.inputs["name"]: item.inputs for item in graph.resources if item.type == RELEASE}


def test_what_a_chart_needs_must_be_there_and_answer(stack: Stack, charts: Path) -> None:
    found = releases(run_stack("local", chart_mirror=str(charts)))
    monitoring = changed(found["kube-prometheus-stack"], "values", "alertmanager", "enabled", value=False)
    for crd in stack.objects.lab.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]:
        if crd["spec"]["group"].endswith("cert-manager.io"):
            stack.objects.lab.kubectl("delete", "crd", crd["metadata"]["name"])
    with pytest.raises(Refused, match=r'no matches for kind "(Certificate|Issuer)"'):
        stack.releases.upgrade(monitoring)
    stack.releases.uninstall(monitoring)

    unchecked = changed(found["cert-manager"], "values", "startupapicheck", "enabled", value=False)
    stack.releases.upgrade(unchecked)
    issuer = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Issuer",
        "metadata": {"name": "first", "namespace": INGRESS_NAMESPACE},
        "spec": {"selfSigned": {}},
    }
    with pytest.raises(Refused, match=r"failed calling webhook .webhook\.cert-manager\.io"):
        stack.objects.apply(issuer)  # ready Deployments, and the API server does not trust the webhook yet
    stack.releases.uninstall(unchecked)
    stack.releases.upgrade(found["cert-manager"])
    stack.objects.apply(issuer)

    policy = ("values", "prometheusOperator", "admissionWebhooks", "failurePolicy")
    with pytest.raises(Refused, match=r"failed calling webhook .*monitoring\.coreos\.com"):
        stack.releases.upgrade(changed(monitoring, *policy, value=""))
    stack.releases.uninstall(monitoring)
    stack.releases.upgrade(monitoring)
    again = changed(monitoring, "values", "prometheus", "prometheusSpec", "retention", value="3d")
    stack.releases.upgrade(again)  # the webhook answers by now, and has to


def things(stack: Stack) -> set[Reference]:
    return {reference for reference in stack.objects.snapshot() if reference.kind not in LEFT_BEHIND}


@pytest.mark.parametrize("example", ["local", "team"])
def test_one_up_installs_the_real_charts_a_second_changes_nothing_and_destroy_leaves_nothing(
    lab: Lab, tmp_path: Path, real_charts: Path, example: str
) -> None:
    stack = Stack(lab, tmp_path)
    before = things(stack)
    graph = run_stack(example, chart_mirror=str(real_charts))
    try:
        stack.up(graph)
        deployed = stack.objects.snapshot()
        assert stack.up(graph).names == {}
        assert stack.objects.snapshot() == deployed
    finally:
        stack.destroy(lift_protection=True)
    assert things(stack) == before
