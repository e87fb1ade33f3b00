"""The registry's champion as a metric, which an alert compares with the serving version."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from platform_lib.serving.models.local_registry import LocalRegistryClient
from platform_lib.serving.rollout.champion_watch import ChampionWatch


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """MLflow's table of aliases, the only table that is read."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER)")
        database.executemany(
            "INSERT INTO registered_model_aliases VALUES ('people', ?, ?)", [("champion", 3), ("candidate", 4)]
        )
    return path


def change(store: Path, statement: str) -> None:
    with closing(sqlite3.connect(store)) as database, database:
        database.execute(statement)


def shown(watch: ChampionWatch) -> list[dict[str, str]]:
    return [sample.labels for family in watch.collect() for sample in family.samples if sample.value == 1]


def test_the_metric_follows_the_alias(store: Path) -> None:
    watch = ChampionWatch(LocalRegistryClient(f"sqlite:///{store.as_posix()}"), "people")
    assert shown(watch) == []
    watch.poll()
    assert shown(watch) == [{"model": "people", "version": "3"}]
    change(store, "UPDATE registered_model_aliases SET version = 4 WHERE alias = 'champion'")
    watch.poll()
    assert shown(watch) == [{"model": "people", "version": "4"}]


def test_an_unreachable_registry_changes_nothing(store: Path) -> None:
    watch = ChampionWatch(LocalRegistryClient(f"sqlite:///{store.as_posix()}"), "people")
    watch.poll()
    change(store, "DROP TABLE registered_model_aliases")
    watch.poll()
    assert shown(watch) == [{"model": "people", "version": "3"}]


def test_without_a_champion_there_is_no_time_series(store: Path) -> None:
    watch = ChampionWatch(LocalRegistryClient(f"sqlite:///{store.as_posix()}"), "people")
    watch.poll()
    change(store, "DELETE FROM registered_model_aliases")
    watch.poll()
    assert shown(watch) == []
