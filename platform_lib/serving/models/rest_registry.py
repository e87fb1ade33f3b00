"""Registry client for an MLflow server, by its REST API."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from platform_lib.serving.light_imports import imports_blocked

with imports_blocked("pygments"):  # only httpx's command line needs it, and it would import rich
    import httpx

from platform_lib.errors import NotFound, ServiceError
from platform_lib.registry.files import local_path
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.registry_client import ResolvedVersion

_PROXY = "/api/2.0/mlflow-artifacts/artifacts"


class RestRegistryClient:
    """An MLflow server. Implements `registry_client.RegistryClient`."""

    def __init__(self, uri: str) -> None:
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        self._uri = uri.rstrip("/")
        self._http = httpx.Client(
            base_url=self._uri,
            timeout=httpx.Timeout(30, connect=5),
            follow_redirects=True,
            auth=(user, password) if user and password else None,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def prepare(self, reference: Reference) -> None:
        """Do nothing: a server responds in milliseconds."""

    def find(self, reference: Reference, *, known_version: str | None) -> ResolvedVersion | None:
        """See `RegistryClient.find`."""
        version = self._alias(reference) if reference.alias is not None else self._version(reference)
        if str(version["version"]) == known_version:
            return None
        source = str(version.get("source", ""))
        return ResolvedVersion(
            name=reference.name,
            version=str(version["version"]),
            tags={tag["key"]: tag.get("value", "") for tag in version.get("tags", [])},
            fetch=lambda target: self._fetch(source, target),
        )

    def version_of(self, reference: Reference) -> str:
        """See `RegistryClient.version_of`."""
        version = self._alias(reference)
        with _as_service_error():
            return str(version["version"])

    def tag_of(self, reference: Reference, tag: str) -> str | None:
        """See `RegistryClient.tag_of`."""
        version = self._version(reference)
        with _as_service_error():
            return next((str(each["value"]) for each in version.get("tags", []) if each["key"] == tag), None)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _alias(self, reference: Reference) -> dict[str, Any]:
        query = {"name": reference.name, "alias": str(reference.alias)}
        return self._model_version("/api/2.0/mlflow/registered-models/alias", query)

    def _version(self, reference: Reference) -> dict[str, Any]:
        query = {"name": reference.name, "version": str(reference.version)}
        return self._model_version("/api/2.0/mlflow/model-versions/get", query)

    def _model_version(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer = self._get(path, query)
        with _as_service_error():
            return dict(answer["model_version"])

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
                    "the version's files are in a folder on the registry's machine, which does not exist here; "
                    "start the MLflow server with --serve-artifacts."
                )
            return folder
        parts = urlsplit(source)
        if parts.scheme != "mlflow-artifacts":
            raise ServiceError(
                f"the version's files are in a {parts.scheme} store; "
                "start the MLflow server with --serve-artifacts to reach them."
            )
        self._download(parts.path.strip("/"), target)
        if not any(target.iterdir()):
            # MLflow lists nothing if its store is missing. That must not count against the version.
            raise ServiceError("the registry lists no files of the version; is its artifact store there?")
        return target

    def _download(self, path: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for entry in self._get(_PROXY, {"path": path}).get("files", []):
            name = str(entry["path"]).rsplit("/", 1)[-1]
            if name in ("", ".", "..") or "\\" in name or ":" in name:
                raise ServiceError(f"the registry lists a file {name!r:.80}, which is not a valid file name.")
            if entry.get("is_dir"):
                self._download(f"{path}/{name}", target / name)
                continue
            with (
                _as_service_error(),
                self._http.stream("GET", f"{_PROXY}/{quote(f'{path}/{name}')}") as answer,
                (target / name).open("wb") as file,
            ):
                answer.raise_for_status()
                for block in answer.iter_bytes():
                    file.write(block)

    def _get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        with _as_service_error():
            answer = self._http.get(path, params=query)
            if answer.status_code in (400, 404):
                _raise_if_missing(answer)
            answer.raise_for_status()
            return dict(answer.json())


def _raise_if_missing(answer: httpx.Response) -> None:
    """Raise NotFound for MLflow's 404 (no such model or version) and 400 (no such alias)."""
    try:
        body = answer.json()
        message = str(body["message"])
    except (ValueError, KeyError, TypeError):
        return
    if body.get("error_code") == "RESOURCE_DOES_NOT_EXIST" or "not found" in message.lower():
        raise NotFound(f"the registry has no such version yet: {message:.200}")


@contextmanager
def _as_service_error() -> Iterator[None]:
    """Turn a failed request into one sentence without the address, which may hold a password."""
    try:
        yield
    except httpx.HTTPStatusError as err:
        raise ServiceError(f"the registry responds {err.response.status_code} {err.response.reason_phrase}.") from err
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as err:
        raise ServiceError(f"the registry does not respond as MLflow does ({type(err).__name__}).") from err
    except OSError as err:
        raise ServiceError(f"the version's files cannot be written: {err.strerror}.") from err
