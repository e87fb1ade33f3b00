"""Ask the registry which version is meant, without MLflow in this process: over REST, or through a short-lived child for a local store.

`loader` decides when to ask and what to do with the answer.
"""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from platform_lib.serving.light_imports import without

with without("pygments"):  # of httpx's command line, which would bring rich with it
    import httpx

from platform_lib.errors import NotFound, ServiceError
from platform_lib.names import ExitCode, VersionTag
from platform_lib.registry.files import local_path
from platform_lib.registry.reference import Reference
from platform_lib.registry.store import database_path

_CHILD_TIMEOUT_S = 180
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedVersion:
    """The version that a reference means now."""

    name: str
    version: str
    tags: dict[str, str]
    fetch: Callable[[Path], Path]
    """Bring its files into an empty folder, or say where they lie; returns the folder. Raises ServiceError."""

    @property
    def sha256(self) -> str:
        return self.tags.get(VersionTag.MODEL_SHA256, "")


class RegistryClient(Protocol):
    """One registry."""

    def prepare(self, reference: Reference) -> None:
        """Begin what takes long about the first `find`; returns at once."""

    def find(self, reference: Reference, *, known_version: str | None) -> ResolvedVersion | None:
        """Find the version that is meant; None when it certainly is still `known_version`.

        Raises:
            NotFound: There is no such model, version or alias yet.
            ServiceError: The registry does not answer.
        """

    def tag_of(self, reference: Reference, tag: str) -> str | None:
        """What a version's tag says now; None where it has none. Cheap enough to be asked all day.

        Raises:
            NotFound: There is no such version.
            ServiceError: The registry does not answer.
        """

    def close(self) -> None:
        """Give up what is under way."""


def open_registry_client(tracking_uri: str) -> "RestRegistryClient | LocalRegistryClient":
    """The lookup for `http(s)://…` or `sqlite:///…`."""
    if tracking_uri.startswith(("http://", "https://")):
        return RestRegistryClient(tracking_uri)
    return LocalRegistryClient(tracking_uri)


class RestRegistryClient:
    """An MLflow server, by its REST API."""

    def __init__(self, uri: str) -> None:
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        self._uri = uri.rstrip("/")
        self._client = httpx.Client(
            base_url=self._uri,
            timeout=httpx.Timeout(30, connect=5),
            follow_redirects=True,
            auth=(user, password) if user and password else None,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def prepare(self, reference: Reference) -> None:
        """Nothing: a server answers in milliseconds."""

    def find(self, reference: Reference, *, known_version: str | None) -> ResolvedVersion | None:
        if reference.alias is not None:
            answer = self._get(
                "/api/2.0/mlflow/registered-models/alias", {"name": reference.name, "alias": reference.alias}
            )
        else:
            answer = self._get(
                "/api/2.0/mlflow/model-versions/get", {"name": reference.name, "version": str(reference.version)}
            )
        version = answer["model_version"]
        if str(version["version"]) == known_version:
            return None
        tags = {tag["key"]: tag.get("value", "") for tag in version.get("tags", [])}
        source = str(version.get("source", ""))
        return ResolvedVersion(
            name=reference.name,
            version=str(version["version"]),
            tags=tags,
            fetch=lambda target: self._fetch(source, target),
        )

    def version_of(self, reference: Reference) -> str:
        answer = self._get(
            "/api/2.0/mlflow/registered-models/alias", {"name": reference.name, "alias": str(reference.alias)}
        )
        with _speaking():
            return str(answer["model_version"]["version"])

    def tag_of(self, reference: Reference, tag: str) -> str | None:
        answer = self._get(
            "/api/2.0/mlflow/model-versions/get", {"name": reference.name, "version": str(reference.version)}
        )
        with _speaking():
            return next(
                (str(each["value"]) for each in answer["model_version"].get("tags", []) if each["key"] == tag), None
            )

    def close(self) -> None:
        self._client.close()

    def _fetch(self, source: str, target: Path) -> Path:
        if source.startswith("models:/"):
            model_id = source.removeprefix("models:/").strip("/")
            source = str(
                self._get(f"/api/2.0/mlflow/logged-models/{quote(model_id, safe='')}")["model"]["info"]["artifact_uri"]
            )
        folder = local_path(source)
        if folder is not None:
            if not folder.is_dir():
                raise ServiceError(
                    "the version's files lie in a folder of the registry's machine that is not here; start it with --serve-artifacts."
                )
            return folder
        parts = urlsplit(source)
        if parts.scheme != "mlflow-artifacts":
            raise ServiceError(
                f"the version's files lie in a {parts.scheme} store; start the MLflow server with --serve-artifacts to reach them."
            )
        self._download(parts.path.strip("/"), target)
        if not any(target.iterdir()):
            # MLflow lists nothing where its store is not there. That must not count against the version.
            raise ServiceError("the registry lists no files of the version; is its artifact store there?")
        return target

    def _download(self, path: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for entry in self._get(_PROXY, {"path": path}).get("files", []):
            name = str(entry["path"]).rsplit("/", 1)[-1]
            if name in ("", ".", "..") or "\\" in name or ":" in name:
                raise ServiceError(f"the registry names a file {name!r:.80}, which is no file name.")
            if entry.get("is_dir"):
                self._download(f"{path}/{name}", target / name)
                continue
            with (
                _speaking(),
                self._client.stream("GET", f"{_PROXY}/{quote(f'{path}/{name}')}") as answer,
                (target / name).open("wb") as file,
            ):
                answer.raise_for_status()
                for block in answer.iter_bytes():
                    file.write(block)

    def _get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        with _speaking():
            answer = self._client.get(path, params=query)
            if answer.status_code in (400, 404):
                _raise_if_missing(answer)
            answer.raise_for_status()
            return dict(answer.json())


def _raise_if_missing(answer: httpx.Response) -> None:
    """MLflow says 404 for a missing model and version, and 400 for a missing alias."""
    try:
        body = answer.json()
        message = str(body["message"])
    except (ValueError, KeyError, TypeError):
        return
    if body.get("error_code") == "RESOURCE_DOES_NOT_EXIST" or "not found" in message.lower():
        raise NotFound(f"the registry has no such version yet: {message:.200}")


@contextmanager
def _speaking() -> Iterator[None]:
    """Turn a failing connection into one sentence, without the address, which may hold a password."""
    try:
        yield
    except httpx.HTTPStatusError as err:
        raise ServiceError(f"the registry answers {err.response.status_code} {err.response.reason_phrase}.") from err
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as err:
        raise ServiceError(f"the registry does not answer as MLflow does ({type(err).__name__}).") from err
    except OSError as err:
        raise ServiceError(f"the version's files cannot be written: {err.strerror}.") from err


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as err:
        raise ServiceError(f"the local registry cannot be read: {err}.") from err


class LocalRegistryClient:
    """The project's own SQLite store. A glance at its alias table says whether a child with MLflow has to be asked."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._database = database_path(uri) or Path(uri)
        self._child: subprocess.Popen[str] | None = None
        self._closed = threading.Event()
        self._known: dict[str, ResolvedVersion] = {}
        """By version; what a version is never changes, so a rollback needs no child."""

    def prepare(self, reference: Reference) -> None:
        """Start the child while this process imports its own libraries: each takes seconds."""
        if self._database.is_file():
            self._start(str(reference))

    def find(self, reference: Reference, *, known_version: str | None) -> ResolvedVersion | None:
        if not self._database.is_file():
            raise NotFound("there is no model yet; `mlp train` makes the first.")
        if reference.alias is not None:
            with suppress(sqlite3.Error):  # not a table we know: the child knows better
                version = self._glance(reference.name, reference.alias)
                if version is None:
                    raise NotFound(f"the registry has no {reference} yet; `mlp promote` makes a version the champion.")
                if version == known_version:
                    return None
                if version in self._known:
                    return self._known[version]
        answer = self._ask(str(reference))
        folder = Path(answer["folder"])
        found = ResolvedVersion(
            name=answer["name"], version=str(answer["version"]), tags=dict(answer["tags"]), fetch=lambda _target: folder
        )
        self._known[found.version] = found
        return found

    def version_of(self, reference: Reference) -> str:
        if not self._database.is_file():
            raise NotFound("there is no model yet; `mlp train` makes the first.")
        with _reading():
            version = self._glance(reference.name, str(reference.alias))
        if version is None:
            raise NotFound(f"the registry has no {reference} yet; `mlp promote` makes a version the champion.")
        return version

    def tag_of(self, reference: Reference, tag: str) -> str | None:
        query = "SELECT value FROM model_version_tags WHERE name = ? AND version = ? AND key = ?"
        with _reading():
            return self._first(query, reference.name, reference.version, tag)

    def close(self) -> None:
        self._closed.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()

    def _glance(self, name: str, alias: str) -> str | None:
        return self._first("SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", name, alias)

    def _first(self, query: str, *values: Any) -> str | None:
        address = f"{self._database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
            row = connection.execute(query, values).fetchone()
        return None if row is None else str(row[0])

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

    def _ask(self, reference: str) -> dict[str, Any]:
        child = self._child or self._start(reference)
        try:
            output, complaint = child.communicate(timeout=_CHILD_TIMEOUT_S)
        except subprocess.TimeoutExpired as err:
            child.kill()
            child.communicate()
            raise ServiceError(f"the local registry gave no answer within {_CHILD_TIMEOUT_S} s.") from err
        finally:
            self._child = None
        if self._closed.is_set():
            raise ServiceError("the server is stopping.")
        code = child.returncode
        sentence = (complaint.strip().splitlines() or ["no reason given"])[-1]
        if code == ExitCode.USAGE:
            raise NotFound(sentence)
        if code != 0:
            raise ServiceError(f"the local registry failed: {sentence:.300}")
        return dict(json.loads(output.strip().splitlines()[-1]))
