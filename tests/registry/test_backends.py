"""The direct ways to a store give and change the same as MLflow's own client."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from platform_lib.errors import ServiceError
from platform_lib.registry import Registry
from platform_lib.registry.backends.base import Backend, BackendError
from platform_lib.registry.backends.choice import open_backend
from platform_lib.registry.backends.rest import RestBackend, is_plain_server
from platform_lib.registry.backends.sqlite import SqliteBackend
from platform_lib.registry.backends.through_mlflow import MlflowBackend
from platform_lib.registry.client import as_current_store, database_path
from tests.registry.conftest import gate


@pytest.fixture(params=["sqlite", pytest.param("rest", marks=[pytest.mark.slow, pytest.mark.xdist_group("servers")])])
def store(request: pytest.FixtureRequest) -> Registry:
    if request.param == "sqlite":
        return request.getfixturevalue("registry")  # type: ignore[no-any-return]
    return Registry(request.getfixturevalue("mlflow_server"))


@pytest.fixture
def name(store: Registry) -> Iterator[str]:
    """A model with three versions: one with a run, one without, one deleted; and a prompt, which is no model."""
    client, name = store.client, "backend-model"
    run = client.create_run("0", tags={"note": "ü"}).info.run_id
    for metric, value in (("accuracy", 0.5), ("accuracy", 0.75), ("undefined", math.nan), ("loss", math.inf)):
        client.log_metric(run, metric, value)
    client.log_text(run, "grüße", "note.txt")
    client.create_registered_model(name)
    with as_current_store(store.uri):
        client.create_model_version(name, "s3://bucket/one", run, tags=gate())
        client.create_model_version(name, "s3://bucket/two", tags={"empty": ""})
        client.create_model_version(name, "s3://bucket/three")
    client.delete_model_version(name, "3")
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "candidate", "2")
    client.register_prompt("backend-prompt", "Hello {{ name }}")
    yield name
    client.delete_registered_model(name)


@pytest.fixture
def both(store: Registry, name: str) -> tuple[Backend, MlflowBackend]:
    """The direct backend, and MLflow's client."""
    assert type(store.backend) is (SqliteBackend if database_path(store.uri) else RestBackend)
    return store.backend, MlflowBackend(store.client, store.uri)


def test_reading_gives_what_mlflow_gives(both: tuple[Backend, MlflowBackend], name: str) -> None:
    direct, mlflow = both
    run_id = mlflow.versions(name)[-1].run_id or mlflow.versions(name)[0].run_id

    assert sorted(direct.model_names()) == sorted(mlflow.model_names())
    assert name in direct.model_names()
    assert "backend-prompt" not in direct.model_names()
    for version in ("1", "2", "3", "4"):
        assert direct.version(name, version) == mlflow.version(name, version)
    assert direct.version(name, "3") is None
    for alias in ("champion", "candidate", "latest", "nothing"):
        assert direct.version_with_alias(name, alias) == mlflow.version_with_alias(name, alias)
    assert direct.version_with_alias("no-model", "champion") is None
    by_number = [sorted(backend.versions(name), key=lambda each: each.version) for backend in both]
    assert by_number[0] == by_number[1]
    assert direct.versions("no-model") == mlflow.versions("no-model") == []
    assert direct.aliases(name) == mlflow.aliases(name) == {"champion": "1", "candidate": "2"}
    assert direct.aliases("no-model") == {}
    assert repr(direct.run(run_id)) == repr(mlflow.run(run_id))  # nan is not equal to itself
    assert "nan" in repr(direct.run(run_id))
    assert direct.run("0" * 32) is mlflow.run("0" * 32) is None
    assert list(direct.runs([run_id, "0" * 32])) == [run_id]


def test_changes_are_seen_by_mlflow(both: tuple[Backend, MlflowBackend], name: str) -> None:
    direct, mlflow = both

    direct.set_registered_model_alias(name, "champion", "2")
    direct.set_registered_model_alias(name, "shadow", "1")
    direct.delete_registered_model_alias(name, "candidate")
    direct.delete_registered_model_alias(name, "candidate")  # gone already
    direct.set_model_version_tag(name, "2", "empty", "no longer")
    direct.set_model_version_tag(name, "2", "new", "ü")
    direct.delete_model_version_tag(name, "1", "mlp.dirty")
    direct.delete_model_version_tag(name, "1", "mlp.dirty")

    assert mlflow.aliases(name) == {"champion": "2", "shadow": "1"}
    first, second = mlflow.version(name, "1"), mlflow.version(name, "2")
    assert second is not None
    assert second.tags == {"empty": "no longer", "new": "ü"}
    assert first is not None
    assert "mlp.dirty" not in first.tags


@pytest.mark.parametrize("version", ["3", "9"])
def test_a_version_that_does_not_exist_gets_neither_alias_nor_tag(
    both: tuple[Backend, MlflowBackend], name: str, version: str
) -> None:
    direct, mlflow = both
    before = mlflow.aliases(name)

    with pytest.raises(BackendError, match="not found") as refused:
        direct.set_registered_model_alias(name, "champion", version)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(BackendError, match="not found"):
        direct.set_model_version_tag(name, version, "key", "value")

    assert mlflow.aliases(name) == before


def test_files_of_a_run_are_read(store: Registry, name: str) -> None:
    run_id = store.resolve(f"{name}/1").run_id

    assert store.run_file(run_id, "note.txt") == "grüße"
    assert store.run_file(run_id, "missing.txt") is None
    assert store.run_file("0" * 32, "note.txt") is None


class TestChoice:
    def test_a_store_of_another_schema_is_left_to_mlflow(self, registry: Registry) -> None:
        database = database_path(registry.uri)
        assert database is not None
        with closing(sqlite3.connect(database)) as store, store:
            store.execute("UPDATE alembic_version SET version_num = 'f5a4f2784254'")

        with pytest.raises(ServiceError, match="created by another version of MLflow"):
            Registry(registry.uri).names()

    def test_a_store_with_workspaces_is_left_to_mlflow(self, registry: Registry) -> None:
        database = database_path(registry.uri)
        assert database is not None
        with closing(sqlite3.connect(database)) as store, store:
            store.execute("INSERT INTO registered_models (name, workspace) VALUES ('m', 'team')")

        backend = open_backend(registry.uri, lambda: registry.client)

        assert isinstance(backend, MlflowBackend)

    @pytest.mark.parametrize(
        ("uri", "environ", "is_plain"),
        [
            ("https://mlflow.example", {"MLFLOW_TRACKING_TOKEN": "t"}, True),
            ("https://mlflow.example", {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, True),
            ("https://mlflow.example", {"MLFLOW_TRACKING_AWS_SIGV4": "true"}, False),
            ("https://mlflow.example", {"MLFLOW_TRACKING_SERVER_CERT_PATH": "ca.pem"}, False),
            ("https://mlflow.example", {"NETRC": __file__}, False),
            ("databricks://profile", {"MLFLOW_TRACKING_TOKEN": "t"}, False),
        ],
    )
    def test_other_ways_to_log_in_are_left_to_mlflow(self, uri: str, environ: dict[str, str], is_plain: bool) -> None:
        assert is_plain_server(uri, environ) is is_plain

    def test_a_file_that_nobody_may_write_can_be_read(self, registry: Registry, tmp_path: Path) -> None:
        database = database_path(registry.uri)
        assert database is not None
        database.chmod(0o444)

        assert Registry(registry.uri).names() == []
