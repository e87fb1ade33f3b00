"""The local store is created once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from platform_lib.registry import Registry
from platform_lib.registry.client import as_current_store
from platform_lib.registry.store import ensure_database
from platform_lib.registry.trained_on import trained_on
from platform_lib.settings import Project


class TestStore:
    def test_concurrent_processes_create_one_store(self, tmp_path: Path) -> None:
        uri = f"sqlite:///{(tmp_path / '.mlp' / 'mlflow.db').as_posix()}"
        code = f"from platform_lib.registry.client import database_path; from platform_lib.registry.store import ensure_database; ensure_database(database_path({uri!r}))"

        processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
        errors = [process.communicate()[1].decode() for process in processes]

        assert [process.returncode for process in processes] == [0] * 3, errors
        assert Registry(uri).names() == []
        assert not list((tmp_path / ".mlp").glob("*.new*"))

    def test_the_remains_of_an_interrupted_creation_do_not_affect_the_next(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db.new").write_text("half a database", encoding="utf-8")

        ensure_database(tmp_path / "mlflow.db")

        assert Registry(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}").names() == []


class TestTrainedOn:
    def test_the_versions_trained_on_a_table_are_read_without_mlflow(self, trained: Project) -> None:
        uri = f"sqlite:///{trained.database.as_posix()}"

        assert trained_on(trained, uri, "sample") == "sample-model version 1"
        assert trained_on(trained, uri, "another") is None

    def test_without_a_store_nothing_was_trained(self, tmp_path: Path) -> None:
        project = Project(root=tmp_path, name="p", package="p", task="classification")

        assert trained_on(project, f"sqlite:///{project.database.as_posix()}", "t") is None

    def test_a_shared_registry_is_not_asked_and_may_have_versions(self, trained: Project) -> None:
        assert trained_on(trained, "http://mlflow:5000", "another") == "a version in http://mlflow:5000"


@pytest.mark.parametrize("variable", [None, "sqlite:///users.db"])
def test_a_store_of_a_block_leaves_nothing_behind(variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even in MLflow's memory, which would win over the variable from then on."""
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if variable is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    with as_current_store("sqlite:///other.db"):
        with as_current_store("sqlite:///other.db"):
            assert mlflow.get_tracking_uri() == "sqlite:///other.db"
        assert mlflow.get_tracking_uri() == "sqlite:///other.db"
    assert os.environ.get("MLFLOW_TRACKING_URI") == variable
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert not mlflow.is_tracking_uri_set()
