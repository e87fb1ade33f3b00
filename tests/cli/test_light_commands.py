"""Reading the registry and moving aliases loads none of the heavy libraries: MLflow alone takes two seconds of CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platform_lib.registry import Registry
from platform_lib.registry.client import as_current_store
from platform_lib.settings import Project, find_project
from platform_lib.training.tracking import EVALUATION_FILE
from tests.conftest import copy_of

HEAVY = ("mlflow", "pandas", "sklearn", "scipy", "sqlalchemy", "pandera", "hydra", "prefect", "dvc")
COMMANDS = (
    ("models",),
    ("models", "--json"),
    ("models", "show"),
    ("models", "show", "1", "--json"),
    ("models", "diff", "1", "2"),
    ("lineage",),
    ("promote", "1"),
    ("promote", "2"),
    ("rollback",),
    ("canary",),
    ("canary", "--version", "2", "--percent", "5"),
    ("canary", "abort"),
    ("shadow",),
)
REPORT = f"""
import json, sys
from platform_lib.cli import main
try:
    main(sys.argv[2:])
finally:
    with open(sys.argv[1], "w") as file:
        json.dump([name for name in {HEAVY!r} if name in sys.modules], file)
"""


@pytest.fixture(scope="module")
def two_versions(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The sample project with the same model as versions 1, the champion, and 2."""
    project = copy_of(trained, tmp_path_factory.mktemp("light") / "project")
    registry = Registry(f"sqlite:///{project.database.as_posix()}")
    first = registry.resolve(f"{project.name}/1")
    with as_current_store(registry.uri):
        registry.client.create_model_version(project.name, first.source, first.run_id, tags=first.tags)
    return project


def loaded(project: Project, words: tuple[str, ...], report: Path, env: dict[str, str] | None = None) -> list[str]:
    """Run a command in a process of its own; returns the heavy libraries that it had loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(report), *words],
        cwd=project.root,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(report.read_text()))


def test_local_commands_load_no_heavy_library(two_versions: Project, tmp_path: Path) -> None:
    found = {" ".join(words): loaded(two_versions, words, tmp_path / "report.json") for words in COMMANDS}

    assert {command: heavy for command, heavy in found.items() if heavy} == {}


def test_predicting_does_not_load_mlflow(trained: Project, tmp_path: Path) -> None:
    table = trained.data_dir / "sample.csv"
    words = ("predict", str(table), "--out", str(tmp_path / "out.csv"))

    found = loaded(trained, words, tmp_path / "report.json")

    assert "sklearn" in found  # the report works
    assert {"mlflow", "sqlalchemy", "pandera", "hydra", "prefect", "dvc"} & set(found) == set()


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
def test_commands_on_a_server_load_no_heavy_library(two_versions: Project, mlflow_server: str, tmp_path: Path) -> None:
    project = register_on_server(copy_of(two_versions, tmp_path / "project"), mlflow_server)
    env = {"MLFLOW_TRACKING_URI": mlflow_server, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    commands = (("promote", "1"), *COMMANDS)
    found = {" ".join(words): loaded(project, words, tmp_path / "report.json", env) for words in commands}

    assert {command: heavy for command, heavy in found.items() if heavy} == {}


def register_on_server(project: Project, url: str) -> Project:
    """Register the first version's files twice on a server, as versions of a model that only this file uses."""
    settings = project.root / "pyproject.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('model = "sample-model"', 'model = "light-model"'), encoding="utf-8")
    renamed = find_project(project.root)
    own, shared = Registry(f"sqlite:///{project.database.as_posix()}"), Registry(url)
    first = own.resolve("sample-model/1")
    experiment = shared.client.create_experiment(renamed.name)
    run_id = shared.client.create_run(experiment).info.run_id
    shared.client.log_text(run_id, own.run_file(first.run_id, EVALUATION_FILE) or "", EVALUATION_FILE)
    model = shared.client.create_logged_model(experiment, name=renamed.name, source_run_id=run_id)
    shared.client.log_model_artifacts(model.model_id, str(own.folder(first)))
    shared.client.create_registered_model(renamed.name)
    with as_current_store(url):
        for _ in range(2):
            shared.client.create_model_version(
                renamed.name, f"models:/{model.model_id}", run_id, tags=first.tags, model_id=model.model_id
            )
    return renamed
