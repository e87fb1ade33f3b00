"""Registry client for a local SQLite store, through short-lived MLflow child processes."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from platform_lib.errors import NotFound, ServiceError
from platform_lib.names import Alias, ExitCode
from platform_lib.registry.client import database_path
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.registry_client import ResolvedVersion
from platform_lib.storage_errors import storage_error

_CHILD_TIMEOUT_S = 180


class LocalRegistryClient:
    """The project's own SQLite store. Implements `registry_client.RegistryClient`.

    MLflow is imported only in a child process, which is started only when the alias table, read directly, names an
    unknown version.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._database = database_path(uri) or Path(uri)
        self._child: subprocess.Popen[str] | None = None
        self._closed = threading.Event()
        self._folders: dict[str, Path] = {}
        """By version number. A version's files never change, so a rollback needs no child process."""

    def prepare(self, reference: Reference) -> None:
        """Start the child process while this process imports its own libraries: each takes seconds."""
        if self._database.is_file():
            self._start(str(reference))

    def find(self, reference: Reference, *, known_version: str | None) -> ResolvedVersion | None:
        """See `RegistryClient.find`."""
        self._need_database()
        with suppress(sqlite3.Error):  # an unknown table layout: the child process decides
            version = reference.version or self._version_with_alias(reference)
            if version == known_version:
                return None
            if version in self._folders and (tags := self._tags(reference.name, version)):
                return self._resolved(reference.name, version, tags)
        answer = self._resolve(str(reference))
        version = str(answer["version"])
        self._folders[version] = Path(answer["folder"])
        return self._resolved(answer["name"], version, dict(answer["tags"]))

    def _resolved(self, name: str, version: str, tags: dict[str, str]) -> ResolvedVersion:
        folder = self._folders[version]
        return ResolvedVersion(name=name, version=version, tags=tags, fetch=lambda _target: folder)

    def version_of(self, reference: Reference) -> str:
        """See `RegistryClient.version_of`."""
        self._need_database()
        with _as_service_error(self._database):
            return self._version_with_alias(reference)

    def tag_of(self, reference: Reference, tag: str) -> str | None:
        """See `RegistryClient.tag_of`."""
        query = "SELECT value FROM model_version_tags WHERE name = ? AND version = ? AND key = ?"
        with _as_service_error(self._database):
            return self._select(query, reference.name, reference.version, tag)

    def close(self) -> None:
        """Kill the child process if one is running."""
        self._closed.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()

    def _need_database(self) -> None:
        if not self._database.is_file():
            raise NotFound("there is no model yet; `mlp train` makes the first.")

    def _version_with_alias(self, reference: Reference) -> str:
        query = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
        version = self._select(query, reference.name, reference.alias)
        if version is None:
            raise NotFound(f"the registry has no {reference} yet; {self._hint(reference)}")
        return version

    def _hint(self, reference: Reference) -> str:
        if reference.alias == Alias.CHAMPION:
            return "`mlp promote` makes a version the champion."
        query = "SELECT group_concat(alias, ' ') FROM registered_model_aliases WHERE name = ?"
        known = sorted((self._select(query, reference.name) or "").split())
        usual = (Alias.CANDIDATE, Alias.CHAMPION, Alias.PREVIOUS, Alias.CANARY, Alias.SHADOW)
        close = get_close_matches(str(reference.alias), {*known, *usual} - {reference.alias}, n=1)
        meant = f"did you mean @{close[0]}? " if close else ""
        return f"{meant}The model has the aliases {', '.join(f'@{alias}' for alias in known) or 'none'}."

    def _tags(self, name: str, version: str) -> dict[str, str]:
        query = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
        return {str(key): str(value or "") for key, value in self._rows(query, name, version)}

    def _select(self, query: str, *values: Any) -> str | None:
        """Return the first value of the first row, or None if there is no row."""
        rows = self._rows(query, *values)
        return str(rows[0][0]) if rows and rows[0][0] is not None else None

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        address = f"{self._database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
            return connection.execute(query, values).fetchall()

    def _start(self, reference: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "platform_lib.registry", "resolve", "--tracking-uri", self._uri, reference]
        self._child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        return self._child

    def _resolve(self, reference: str) -> dict[str, Any]:
        child = self._child or self._start(reference)
        try:
            output, errors = child.communicate(timeout=_CHILD_TIMEOUT_S)
        except subprocess.TimeoutExpired as err:
            child.kill()
            child.communicate()
            raise ServiceError(f"the local registry did not respond within {_CHILD_TIMEOUT_S} s.") from err
        finally:
            self._child = None
        if self._closed.is_set():
            raise ServiceError("the server is stopping.")
        sentence = (errors.strip().splitlines() or ["no reason given"])[-1]
        if child.returncode == ExitCode.USAGE:
            raise NotFound(sentence)
        if child.returncode != 0:
            raise ServiceError(f"the local registry failed: {sentence:.600}")
        return dict(json.loads(output.strip().splitlines()[-1]))


@contextmanager
def _as_service_error(database: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as err:
        raise storage_error(err, database) or ServiceError(f"the local registry cannot be read: {err}.") from err
