"""Both registry clients against real ones: MLflow's REST API, and the local store.

The local store is read through a child process.
"""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from platform_lib.errors import NotFound, ServiceError
from platform_lib.model.artifact import load_artifact
from platform_lib.model.signing.verification import verify_signature
from platform_lib.registry import load_model
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.local_registry import LocalRegistryClient
from platform_lib.serving.models.rest_registry import RestRegistryClient
from platform_lib.settings import Project
from tests.conftest import copy_of, free_port
from tests.registry.signing_policy import own_signature_policy

NAME = "served-over-rest"


@pytest.fixture(scope="module")
def registered(mlflow_server: str, trained: Project) -> str:
    """Register the trained model's files on the server as version 1, the champion."""
    from mlflow import MlflowClient

    from platform_lib.registry import Registry

    local = Registry(f"sqlite:///{trained.database.as_posix()}")
    record = local.resolve(f"{trained.name}@champion")
    client = MlflowClient(mlflow_server, mlflow_server)
    experiment = client.create_experiment(NAME)
    logged = client.create_logged_model(experiment, name=NAME)
    client.log_model_artifacts(logged.model_id, str(local.folder(record)))
    client.finalize_logged_model(logged.model_id, "READY")
    client.create_registered_model(NAME)
    client.create_model_version(
        NAME, source=f"models:/{logged.model_id}", tags=dict(record.tags), model_id=logged.model_id
    )
    client.set_registered_model_alias(NAME, "champion", "1")
    return mlflow_server


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
@pytest.mark.parametrize("reference", [Reference(NAME, alias="champion"), Reference(NAME, version="1")], ids=str)
def test_a_server_gives_version_tags_and_files(
    reference: Reference, registered: str, trained: Project, tmp_path: Path
) -> None:
    client = RestRegistryClient(registered)
    found = client.find(reference, known_version=None)
    assert found is not None
    assert (found.name, found.version) == (NAME, "1")
    folder = found.fetch(tmp_path / "files")
    assert verify_signature(folder, trained.name, own_signature_policy())  # nothing was added or left out
    model = load_artifact(folder, name=NAME, version="1", sha256=found.sha256, package=trained.package)
    assert model.contract.target == "species"
    assert client.find(reference, known_version="1") is None
    assert client.version_of(Reference(NAME, alias="champion")) == "1"
    assert_a_tag_is_told(client, trained)


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
@pytest.mark.parametrize(
    "reference",
    [
        Reference("nobody", alias="champion"),
        Reference(NAME, alias="canary"),
        Reference(NAME, version="99"),
        Reference("nobody", version="1"),
    ],
    ids=str,
)
def test_a_missing_version_is_not_a_server_failure(reference: Reference, registered: str) -> None:
    with pytest.raises(NotFound, match="the registry has no such version yet"):
        RestRegistryClient(registered).find(reference, known_version=None)


def test_an_unreachable_server_is_reported_without_its_address() -> None:
    url = f"http://somebody:password@127.0.0.1:{free_port()}"
    with pytest.raises(ServiceError, match=r"^the registry does not respond as MLflow does \(ConnectError\)\.$"):
        RestRegistryClient(url).find(Reference("people", alias="champion"), known_version=None)


def local(project: Project) -> LocalRegistryClient:
    return LocalRegistryClient(f"sqlite:///{project.database.as_posix()}")


@pytest.mark.slow
def test_the_local_store_gives_version_tags_and_files(trained: Project) -> None:
    client, reference = local(trained), Reference(trained.name, alias="champion")
    client.prepare(reference)
    found = client.find(reference, known_version=None)
    assert found is not None
    assert (found.name, found.version) == (trained.name, "1")
    assert load_artifact(
        found.fetch(Path("unused")), name=found.name, version="1", sha256=found.sha256, package=trained.package
    )
    assert_a_tag_is_told(client, trained, trained.name)


def assert_a_tag_is_told(client: RestRegistryClient | LocalRegistryClient, trained: Project, name: str = NAME) -> None:
    version = Reference(name, version="1")
    assert client.tag_of(version, "mlp.model_sha256") == load_model("1", trained).sha256
    assert client.tag_of(version, "mlp.percent") is None


@pytest.mark.slow
def test_a_child_process_runs_only_if_the_alias_has_moved(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_of(trained, tmp_path / "copy")
    client, reference = local(project), Reference(project.name, alias="champion")
    asked: list[str] = []
    start = subprocess.Popen

    def counted(command: list[str], **options: Any) -> Any:
        asked.append(command[-1])
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", counted)
    assert client.find(reference, known_version=None) is not None
    assert client.find(reference, known_version="1") is None
    assert client.find(reference, known_version=None) is not None  # as after a rejection
    assert asked == [f"{project.name}@champion"]
    with pytest.raises(NotFound, match=r"@cand yet; did you mean @candidate\? The model has the aliases .*@champion"):
        client.find(Reference(project.name, alias="cand"), known_version="1")
    with closing(sqlite3.connect(project.database)) as database, database:
        database.execute("DELETE FROM registered_model_aliases")
    with pytest.raises(NotFound, match=f"the registry has no {project.name}@champion yet"):
        client.find(reference, known_version="1")
    assert len(asked) == 1


def test_a_missing_store_is_not_created(tmp_path: Path) -> None:
    client = LocalRegistryClient(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
    client.prepare(Reference("people", alias="champion"))
    with pytest.raises(NotFound, match="there is no model yet; `mlp train` makes the first"):
        client.find(Reference("people", alias="champion"), known_version=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_file_that_is_not_an_mlflow_store_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
    client = LocalRegistryClient(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
    with pytest.raises(ServiceError, match=r"the local registry failed: .* is not an MLflow store"):
        client.find(Reference("people", alias="champion"), known_version=None)
