"""Training processes that a signal stops, and several at the same time."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform_lib.registry import Registry, open_registry
from platform_lib.settings import Project, Settings
from platform_lib.training.tracking import close_abandoned_runs
from tests.conftest import copy_of


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A project with one champion that tests may change."""
    return copy_of(trained, tmp_path / "project")


@pytest.fixture
def registry(project: Project) -> Registry:
    return open_registry(project, Settings())


def _runs(registry: Registry, status: str) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in registry.client.search_experiments()]
    return list(registry.client.search_runs(experiments, f"attributes.status = '{status}'"))


_SLOW_FIT = """
import time
from pathlib import Path

from sample_model import model as _model

_build = _model.build_model


def train(config, steps):
    table = steps.load(config)
    split = steps.split(table, config)
    Path("fitting").write_text("now")
    time.sleep(600)
"""


@pytest.mark.slow
class TestProcesses:
    def _start(self, project: Project, *args: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "platform_lib.cli", "train", "--json", *args]
        return subprocess.Popen(
            command,
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def _until_fitting(self, project: Project, process: "subprocess.Popen[str]") -> None:
        deadline = time.monotonic() + 90
        while not (project.root / "fitting").exists():
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.1)

    @pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT", "SIGKILL"])
    @pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
    def test_a_stopped_training_leaves_a_killed_run_and_no_version(
        self, project: Project, registry: Registry, stop: str
    ) -> None:
        (project.root / "src" / "sample_model" / "pipeline.py").write_text(_SLOW_FIT, encoding="utf-8")
        process = self._start(project)
        self._until_fitting(project, process)

        process.send_signal(getattr(signal, stop))
        process.communicate(timeout=60)

        if stop == "SIGKILL":
            assert len(_runs(registry, "RUNNING")) == 1
            close_abandoned_runs(registry, project.name)
        assert (len(_runs(registry, "RUNNING")), len(_runs(registry, "KILLED"))) == (0, 1)
        assert [record.version for record in registry.versions("sample-model")] == ["1"]

    def test_concurrent_trainings_in_an_empty_project_all_register(
        self, tmp_path: Path, generate: Callable[..., Project]
    ) -> None:
        project = generate(tmp_path / "project")

        processes = [self._start(project, f"seed={seed}", "gate.delta=1") for seed in range(3)]
        outputs = [process.communicate(timeout=180) for process in processes]

        assert [process.returncode for process in processes] == [0, 0, 0], outputs
        registry = open_registry(project, Settings())
        records = registry.versions("sample-model")
        assert sorted(record.version for record in records) == ["1", "2", "3"]
        assert sorted(json.loads(out)["version"] for out, _ in outputs) == ["1", "2", "3"]
        assert all(record.sha256 and record.verdict for record in records)
        assert sum("champion" in record.aliases for record in records) == 1
