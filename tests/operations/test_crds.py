"""`mlp platform upgrade-crds` with the real helm and a real API server.

The charts come from a local folder, as they do for air-gapped users.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Called
from tests.engines import need_engine
from tests.k8slab.lab import Lab
from tests.operations.projects import Project

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]


@pytest.fixture
def _helm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Path of the real helm, even if it is only in the engines' folder."""
    monkeypatch.setenv("PATH", str(need_engine("helm").parent), prepend=":")


def names(lab: Lab) -> set[str]:
    return set(lab.kubectl("get", "crds", "-o", "name").stdout.split())


@pytest.mark.usefixtures("_helm")
def test_it_applies_the_pinned_charts_definitions_and_a_dry_run_changes_nothing(
    lab: Lab,
    chart_mirror: Path,
    kubectl_reaches: Callable[..., None],
    call_mlp: Callable[..., Called],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubectl_reaches()
    arguments = ("platform", "upgrade-crds", "--chart-mirror", str(chart_mirror))
    if left := sorted(name for name in names(lab) if name.endswith("traefik.io")):
        lab.kubectl("delete", *left, "--wait=true")  # left by another test's charts
    before = names(lab)
    with monkeypatch.context() as only:
        only.setattr(
            "platform_lib.operations.crds.CHARTS_WITH_DEFINITIONS", ("traefik",)
        )  # applying the others takes the API server ten seconds
        dry = call_mlp(Project(tmp_path), *arguments, "--dry-run")
    assert dry.code == 0, dry.err
    assert names(lab) == before
    done = call_mlp(Project(tmp_path), *arguments)
    assert done.code == 0, done.err
    assert done.err.splitlines()[0].startswith("traefik 41.3.0: ")
    assert {
        "customresourcedefinition.apiextensions.k8s.io/ingressroutes.traefik.io",
        "customresourcedefinition.apiextensions.k8s.io/servicemonitors.monitoring.coreos.com",
    } <= names(lab)
    lab.kubectl("delete", *sorted(names(lab) - before), "--wait=true")


@pytest.mark.usefixtures("_helm")
def test_a_mirror_without_the_chart_is_reported_in_one_sentence(
    lab: Lab, kubectl_reaches: Callable[..., None], call_mlp: Callable[..., Called], tmp_path: Path
) -> None:
    kubectl_reaches()
    done = call_mlp(Project(tmp_path), "platform", "upgrade-crds", "--chart-mirror", str(tmp_path))
    assert (done.code, "the chart traefik 41.3.0 cannot be fetched" in done.err) == (3, True)


def test_without_helm_the_error_says_where_to_get_it(
    call_mlp: Callable[..., Called], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    done = call_mlp(Project(tmp_path), "platform", "upgrade-crds", "--chart-mirror", str(tmp_path))
    assert (done.code, "helm is not on PATH: install it" in done.err) == (2, True)
