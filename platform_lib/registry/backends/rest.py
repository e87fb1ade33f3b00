"""An MLflow server by its REST API, with one HTTP client, whose connection is kept."""

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from platform_lib.registry.backends.base import BackendError, StoredRun, StoredVersion

_API = "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which MLflow's client repeats a request."""
_WAIT_S = 1.0
_MOST_MODELS, _MOST_VERSIONS = 1000, 10_000
_OTHER_LOGIN = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_WORKSPACE")
_CERTIFICATES = (
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
)


def is_plain_server(uri: str, environ: dict[str, str] | None = None) -> bool:
    """Whether this module reaches a server as MLflow's client does: http(s) with a password, a token or neither.

    Other ways to log in, and certificates of one's own, are left to MLflow.
    """
    env = os.environ if environ is None else environ
    if not uri.startswith(("http:", "https:")):
        return False
    if any(env.get(name) for name in (*_OTHER_LOGIN, *(_CERTIFICATES if uri.startswith("https:") else ()))):
        return False
    if env.get("MLFLOW_TRACKING_TOKEN") or env.get("MLFLOW_TRACKING_USERNAME"):
        return True
    netrc = Path(env.get("NETRC") or Path.home() / ".netrc")
    return not netrc.exists() and not (Path.home() / ".mlflow" / "credentials").exists()


class RestBackend:
    """An MLflow server. Implements `base.Backend`."""

    def __init__(self, uri: str) -> None:
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        self._retries = int(os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"))
        self._http = httpx.Client(
            base_url=uri.rstrip("/"),
            timeout=httpx.Timeout(float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")), connect=5),
            follow_redirects=True,
            auth=(user, password) if user and password else None,
            headers={"Authorization": f"Bearer {token}"} if token and not (user and password) else {},
        )

    def model_names(self) -> list[str]:
        """See `Backend`."""
        answer = self._get("registered-models/search", max_results=_MOST_MODELS)
        return [str(model["name"]) for model in answer.get("registered_models", [])]

    def version(self, name: str, version: str) -> StoredVersion | None:
        """See `Backend`."""
        answer = self._find("model-versions/get", name=name, version=version)
        return None if answer is None else _version(answer["model_version"])

    def version_with_alias(self, name: str, alias: str) -> StoredVersion | None:
        """See `Backend`."""
        answer = self._find("registered-models/alias", name=name, alias=alias)
        return None if answer is None else _version(answer["model_version"])

    def versions(self, name: str) -> list[StoredVersion]:
        """See `Backend`."""
        answer = self._get("model-versions/search", filter=f"name='{name}'", max_results=_MOST_VERSIONS)
        return [_version(found) for found in answer.get("model_versions", [])]

    def aliases(self, name: str) -> dict[str, str]:
        """See `Backend`."""
        answer = self._find("registered-models/get", name=name) or {"registered_model": {}}
        return {str(each["alias"]): str(each["version"]) for each in answer["registered_model"].get("aliases", [])}

    def run(self, run_id: str) -> StoredRun | None:
        """See `Backend`."""
        answer = self._find("runs/get", run_id=run_id)
        if answer is None:
            return None
        run = answer["run"]
        data = run.get("data", {})
        return StoredRun(
            artifact_uri=str(run["info"].get("artifact_uri", "")),
            experiment_id=str(run["info"]["experiment_id"]),
            metrics={str(each["key"]): float(each["value"]) for each in data.get("metrics", [])},
            tags=_tags(data),
        )

    def runs(self, run_ids: list[str]) -> dict[str, StoredRun]:
        """See `Backend`. One request each: MLflow has none for several runs of several experiments."""
        found = {run_id: self.run(run_id) for run_id in run_ids}
        return {run_id: run for run_id, run in found.items() if run is not None}

    def model_location(self, model_id: str) -> str:
        """See `Backend`."""
        return str(self._get(f"logged-models/{quote(model_id, safe='')}")["model"]["info"]["artifact_uri"])

    def download(self, uri: str, target: str) -> None:
        """See `Backend`. Files that the server does not proxy are left to MLflow."""
        if (path := _proxied(uri)) is not None:
            self._download(path, Path(target))
            return
        from platform_lib.registry.backends.through_mlflow import download

        download(uri, target, str(self._http.base_url).rstrip("/"))

    def read_text(self, uri: str) -> str | None:
        """See `Backend`."""
        if (path := _proxied(uri)) is not None:
            answer = self._send("GET", f"{_FILES}/{quote(path)}")
            return answer.content.decode() if answer.status_code == 200 else None
        from platform_lib.registry.backends.through_mlflow import read_text

        return read_text(uri, str(self._http.base_url).rstrip("/"))

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """See `Backend`."""
        self._request("POST", "registered-models/alias", {"name": name, "alias": alias, "version": version})

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """See `Backend`."""
        self._request("DELETE", "registered-models/alias", {"name": name, "alias": alias})

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """See `Backend`."""
        tag = {"name": name, "version": version, "key": key, "value": value}
        self._request("POST", "model-versions/set-tag", tag)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """See `Backend`."""
        self._request("DELETE", "model-versions/delete-tag", {"name": name, "version": version, "key": key})

    def _download(self, path: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        listed = self._json(self._send("GET", _FILES, params={"path": path}), _FILES)
        for entry in listed.get("files", []):
            name = str(entry["path"]).rsplit("/", 1)[-1]
            if name in ("", ".", "..") or "\\" in name or ":" in name:
                raise BackendError(f"the server lists a file {name!r:.80}, which is not a valid file name")
            if entry.get("is_dir"):
                self._download(f"{path}/{name}", target / name)
                continue
            address = f"{_FILES}/{quote(f'{path}/{name}')}"
            try:
                with self._http.stream("GET", address) as answer, (target / name).open("wb") as file:
                    if answer.status_code != 200:
                        answer.read()
                        raise _refusal(answer, address)
                    for block in answer.iter_bytes():
                        file.write(block)
            except httpx.HTTPError as err:
                raise BackendError(f"the download of {name} failed with {type(err).__name__}: {err}") from err

    def _find(self, path: str, **query: Any) -> dict[str, Any] | None:
        """As `_get`, but None if the object does not exist."""
        from platform_lib.registry.client import is_missing

        try:
            return self._get(path, **query)
        except BackendError as err:
            if is_missing(err):
                return None
            raise

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._json(self._send("GET", f"{_API}/{path}", params=query), path)

    def _request(self, method: str, path: str, body: dict[str, Any]) -> None:
        self._json(self._send(method, f"{_API}/{path}", json=body), path)

    def _send(self, method: str, address: str, **content: Any) -> httpx.Response:
        """Send a request, again if the answer says that this may help, as MLflow's client does."""
        for attempt in range(self._retries + 1):
            if attempt > 1:
                time.sleep(_WAIT_S * 2 ** (attempt - 1))
            try:
                answer = self._http.request(method, address, **content)
            except httpx.HTTPError as err:
                if attempt == self._retries:
                    raise BackendError(f"API request to {address} failed with {type(err).__name__}: {err}") from err
                continue
            if answer.status_code not in _TRANSIENT:
                break
        return answer

    def _json(self, answer: httpx.Response, path: str) -> dict[str, Any]:
        if answer.status_code != 200:
            raise _refusal(answer, path)
        try:
            found = answer.json() if answer.text.strip() else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BackendError(
                "API request to endpoint was successful but the response body was not in a valid JSON format. "
                f"Response body: '{answer.text}'"
            )
        return found


def _proxied(uri: str) -> str | None:
    """The path of an artifact URI whose files this server proxies; None for others."""
    parts = urlsplit(uri)
    return parts.path.strip("/") if parts.scheme == "mlflow-artifacts" and not parts.netloc else None


def _refusal(answer: httpx.Response, path: str) -> BackendError:
    """The error of a response, worded as MLflow words it."""
    try:
        body = json.loads(answer.text)
        code, message = str(body.get("error_code", "INTERNAL_ERROR")), str(body["message"])
    except (ValueError, AttributeError, KeyError, TypeError):
        status = answer.status_code
        known = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "ENDPOINT_NOT_FOUND"}
        return BackendError(
            f"API request to endpoint {path} failed with error code {status} != 200. Response body: '{answer.text}'",
            known.get(status, "INTERNAL_ERROR"),
        )
    return BackendError(f"{code}: {message}", code)


def _version(found: dict[str, Any]) -> StoredVersion:
    return StoredVersion(
        name=str(found["name"]),
        version=str(found["version"]),
        run_id=str(found.get("run_id", "")),
        source=str(found.get("source", "")),
        tags=_tags(found),
        created_ms=int(found["creation_timestamp"]),
    )


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {str(tag["key"]): str(tag.get("value", "")) for tag in found.get("tags", [])}
