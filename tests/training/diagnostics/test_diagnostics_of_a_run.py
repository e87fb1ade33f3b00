"""Diagnostics in a training: stored with the run by default, none with `diagnostics=off`."""

import subprocess
import sys
from pathlib import Path

import pytest

from platform_lib.errors import ServiceError
from platform_lib.registry import Registry, open_registry
from platform_lib.settings import Project, Settings
from platform_lib.training.config.compose import compose
from platform_lib.training.diagnostics.store import load_diagnostics
from platform_lib.training.run import train
from platform_lib.training.tracking import read_evaluation
from tests.conftest import copy_of


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A project with one champion that tests may change."""
    return copy_of(trained, tmp_path / "project")


@pytest.fixture
def registry(project: Project) -> Registry:
    return open_registry(project, Settings())


def test_a_run_has_them_by_default(trained: Project) -> None:
    registry = open_registry(trained, Settings())
    run_id = registry.resolve("sample-model@champion").run_id

    found = load_diagnostics(registry, run_id)

    assert found is not None
    assert found.classes is not None
    assert list(found.not_computed) == ["slices"]  # 55 held-out rows are too few
    evaluation = read_evaluation(registry, run_id)
    assert evaluation is not None
    files = {item.path for item in registry.client.list_artifacts(run_id, "diagnostics")}
    assert files == {picture.file for picture in found.pictures}
    assert "diagnostics/confusion.png" in files
    assert (found.rows, found.classes.confusion) == (evaluation["rows"], evaluation["confusion"]["counts"])


def test_a_run_with_diagnostics_off_has_none_and_loads_no_matplotlib(project: Project, registry: Registry) -> None:
    script = (
        "import sys; from platform_lib.cli import main\n"
        "try: main(['train', 'diagnostics=off', 'gate.delta=1'])\n"
        "finally: print('loaded' if 'matplotlib' in sys.modules else 'not loaded')"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=project.root, capture_output=True, text=True)

    assert done.stdout.splitlines()[-1] == "not loaded", done.stderr
    champion = registry.resolve("sample-model@champion")
    assert champion.version == "2"
    assert load_diagnostics(registry, champion.run_id) is None


def test_a_project_whose_configuration_does_not_name_them_can_switch_them_off(project: Project) -> None:
    file = project.conf_dir / "train.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("diagnostics: on\n", ""), encoding="utf-8")

    assert compose(project).config.diagnostics
    assert not compose(project, ["diagnostics=off"]).config.diagnostics


def test_a_failure_of_diagnostics_is_a_line_of_the_result_and_not_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ServiceError("the store is full.")

    monkeypatch.setattr("platform_lib.training.diagnostics.store.store_diagnostics", fail)

    result = train(project, Settings())

    assert result.passed
    assert result.diagnosis == ("The run has no diagnostics: ServiceError: the store is full.",)
