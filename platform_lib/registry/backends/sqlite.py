"""The local SQLite store, read and written directly. Only for the schema that the statements below were tested with."""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from platform_lib.registry.backends.base import BackendError, StoredRun, StoredVersion

SCHEMAS = frozenset({"dc11669786a5"})
"""Revisions of MLflow's schema (`alembic_version`) whose tables are as here; MLflow itself opens any other."""
BUSY_TIMEOUT_S = 30.0
_DELETED = "Deleted_Internal"
_LATEST = "latest"
_CHUNK = 500
"""Values per statement; SQLite limits them."""
_VERSIONS = (
    "SELECT name, version, run_id, source, creation_time FROM model_versions "
    f"WHERE workspace = 'default' AND name = ? AND current_stage != '{_DELETED}'"
)
_NO_PROMPT = (
    " AND NOT EXISTS (SELECT 1 FROM model_version_tags AS t WHERE t.workspace = 'default' AND t.name = "
    "model_versions.name AND t.key = 'mlflow.prompt.is_prompt' AND t.value = 'true')"
)
_NAMES = (
    "SELECT name FROM registered_models WHERE workspace = 'default' AND name NOT IN "
    "(SELECT name FROM registered_model_tags WHERE key = 'mlflow.prompt.is_prompt' AND value = 'true')"
)


def is_known_store(database: Path) -> bool:
    """Whether this module can read and write a store: MLflow's schema of a known revision, without workspaces.

    False also for a file that cannot be read: MLflow is asked then, and its error is explained.
    """
    try:
        with closing(_connect(database)) as store:
            revisions = {str(revision) for (revision,) in store.execute("SELECT version_num FROM alembic_version")}
            elsewhere = store.execute("SELECT 1 FROM registered_models WHERE workspace != 'default' LIMIT 1").fetchone()
    except sqlite3.Error:
        return False
    return bool(revisions) and revisions <= SCHEMAS and elsewhere is None


class SqliteBackend:
    """One SQLite file. Implements `base.Backend`. Each call is one transaction of its own, so threads may share it."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def model_names(self) -> list[str]:
        """See `Backend`."""
        return [str(name) for (name,) in self._rows(_NAMES)]

    def version(self, name: str, version: str) -> StoredVersion | None:
        """See `Backend`."""
        return next(iter(self._versions(f"{_VERSIONS} AND version = ?", name, version)), None)

    def version_with_alias(self, name: str, alias: str) -> StoredVersion | None:
        """See `Backend`."""
        if alias.lower() == _LATEST:  # MLflow's own, which nobody sets
            return next(iter(self._versions(f"{_VERSIONS} ORDER BY version DESC LIMIT 1", name)), None)
        version = self.aliases(name).get(alias)
        return None if version is None else self.version(name, version)

    def versions(self, name: str) -> list[StoredVersion]:
        """See `Backend`."""
        return self._versions(_VERSIONS + _NO_PROMPT, name)

    def aliases(self, name: str) -> dict[str, str]:
        """See `Backend`."""
        query = "SELECT alias, version FROM registered_model_aliases WHERE workspace = 'default' AND name = ?"
        return {str(alias): str(version) for alias, version in self._rows(query, name)}

    def run(self, run_id: str) -> StoredRun | None:
        """See `Backend`."""
        return self.runs([run_id]).get(run_id)

    def runs(self, run_ids: list[str]) -> dict[str, StoredRun]:
        """See `Backend`."""
        found: dict[str, StoredRun] = {}
        with self._reading() as store:
            for start in range(0, len(run_ids), _CHUNK):
                ids = run_ids[start : start + _CHUNK]
                marks = ",".join("?" * len(ids))
                for run_id, location, experiment in store.execute(
                    f"SELECT run_uuid, artifact_uri, experiment_id FROM runs WHERE run_uuid IN ({marks})", ids
                ):
                    found[str(run_id)] = StoredRun(artifact_uri=str(location or ""), experiment_id=str(experiment))
                for run_id, key, value, is_nan in store.execute(
                    f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE run_uuid IN ({marks})", ids
                ):
                    found[str(run_id)].metrics[str(key)] = math.nan if is_nan else float(value)
                for run_id, key, value in store.execute(
                    f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({marks})", ids
                ):
                    found[str(run_id)].tags[str(key)] = str(value or "")
        return found

    def model_location(self, model_id: str) -> str:
        """See `Backend`."""
        query = "SELECT artifact_location FROM logged_models WHERE model_id = ? AND lifecycle_stage != 'deleted'"
        rows = self._rows(query, model_id)
        if not rows:
            raise BackendError(f"Logged model with ID '{model_id}' not found.", "RESOURCE_DOES_NOT_EXIST")
        return str(rows[0][0])

    def download(self, uri: str, target: str) -> None:
        """Leave it to MLflow: a local store whose artifacts are elsewhere was not made by this library."""
        from platform_lib.registry.backends.through_mlflow import download

        download(uri, target, f"sqlite:///{self._database.as_posix()}")

    def read_text(self, uri: str) -> str | None:
        """See `download`."""
        from platform_lib.registry.backends.through_mlflow import read_text

        return read_text(uri, f"sqlite:///{self._database.as_posix()}")

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """See `Backend`."""
        with self._writing(name, version) as store:
            store.execute(
                "INSERT INTO registered_model_aliases (workspace, name, alias, version) VALUES ('default', ?, ?, ?) "
                "ON CONFLICT (workspace, name, alias) DO UPDATE SET version = excluded.version",
                (name, alias, int(version)),
            )

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """See `Backend`."""
        with self._writing() as store:
            store.execute(
                "DELETE FROM registered_model_aliases WHERE workspace = 'default' AND name = ? AND alias = ?",
                (name, alias),
            )

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """See `Backend`."""
        with self._writing(name, version) as store:
            store.execute(
                "INSERT INTO model_version_tags (workspace, name, version, key, value) VALUES ('default', ?, ?, ?, ?) "
                "ON CONFLICT (workspace, key, name, version) DO UPDATE SET value = excluded.value",
                (name, int(version), key, value),
            )

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """See `Backend`."""
        with self._writing(name, version) as store:
            store.execute(
                "DELETE FROM model_version_tags WHERE workspace = 'default' AND name = ? AND version = ? AND key = ?",
                (name, int(version), key),
            )

    def _versions(self, query: str, name: str, *values: Any) -> list[StoredVersion]:
        tags: dict[str, dict[str, str]] = {}
        with self._reading() as store:
            rows = store.execute(query, (name, *values)).fetchall()
            only, chosen = ("", ()) if len(rows) != 1 else (" AND version = ?", (rows[0][1],))
            for version, key, value in store.execute(
                f"SELECT version, key, value FROM model_version_tags WHERE workspace = 'default' AND name = ?{only}",
                (name, *chosen),
            ):
                tags.setdefault(str(version), {})[str(key)] = str(value or "")
        return [
            StoredVersion(
                name=str(of),
                version=str(version),
                run_id=str(run_id or ""),
                source=str(source or ""),
                tags=tags.get(str(version), {}),
                created_ms=int(created),
            )
            for of, version, run_id, source, created in rows
        ]

    def _rows(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        with self._reading() as store:
            return store.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Several statements see one state."""
        with closing(_connect(self._database)) as store:
            store.execute("BEGIN")
            yield store

    @contextmanager
    def _writing(self, name: str | None = None, version: str | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction. If a version is named, it has to exist, as it has to for MLflow."""
        with closing(_connect(self._database)) as store:
            store.execute("PRAGMA foreign_keys = ON")
            store.execute("BEGIN IMMEDIATE")
            try:
                if (
                    version is not None
                    and store.execute(f"{_VERSIONS} AND version = ?", (name, version)).fetchone() is None
                ):
                    raise BackendError(
                        f"Model Version (name={name}, version={version}) not found", "RESOURCE_DOES_NOT_EXIST"
                    )
                yield store
                store.execute("COMMIT")
            except BaseException:
                if store.in_transaction:
                    store.execute("ROLLBACK")
                raise


def _connect(database: Path) -> sqlite3.Connection:
    """Open a file that exists; SQLite opens one that is write-protected for reading. Transactions are begun by hand."""
    address = f"{database.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
