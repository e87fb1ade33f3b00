"""One request per route that teams may use, aimed at objects of another team, for the authorization tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a team owns."""

    experiment: str
    run: str
    logged_model: str
    name: str
    version: str
    experiment_name: str
    artifact: str
    """Path of a file below the artifact proxy."""

    def names(self) -> set[str]:
        """What must not appear in a response to anybody else."""
        return {self.run, self.logged_model, self.name, self.experiment_name}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request for a route. `{field}` in any text is the target's."""

    method: str
    rule: str
    json: Mapping[str, Any] | None = None
    """The body; `{field}` in its texts too."""
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    """Values of the rule's variables."""
    lists: bool = False
    """Answers with what the caller may see, instead of refusing."""
    content: bytes | None = None

    def send(self, client: httpx.Client, target: Target) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if self.json is not None else {}
        return client.request(
            self.method,
            self.url(target),
            params=filled(self.query, target),
            content=self.body(target),
            headers=headers,
        )

    def url(self, target: Target) -> str:
        """The path, without the query."""
        url = self.rule
        for name, value in self.path.items():
            for variable in (f"<{name}>", f"<path:{name}>"):
                url = url.replace(variable, str(filled(value, target)))
        return url

    def body(self, target: Target) -> bytes | None:
        return json.dumps(filled(self.json, target)).encode() if self.json is not None else self.content


def filled(value: Any, target: Target) -> Any:
    """The value with the target's fields in place of `{field}`."""
    if isinstance(value, str):
        for name in Target.__dataclass_fields__:
            value = value.replace("{" + name + "}", getattr(target, name))
        return value
    if isinstance(value, Mapping):
        return {key: filled(item, target) for key, item in value.items()}
    return [filled(item, target) for item in value] if isinstance(value, list) else value


_API, _PROXY = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts"
_EXPERIMENT, _RUN, _NAME = {"experiment_id": "{experiment}"}, {"run_id": "{run}"}, {"name": "{name}"}
_VERSION, _LOGGED = {"name": "{name}", "version": "{version}"}, {"model_id": "{logged_model}"}
_TAG = {"key": "k", "value": "v"}
_FILE = {"artifact_path": "{artifact}"}

ATTEMPTS = [
    Attempt("POST", f"{_API}/experiments/create", {"name": "{experiment_name}"}),
    Attempt("GET", f"{_API}/experiments/get", query=_EXPERIMENT),
    Attempt("GET", f"{_API}/experiments/get-by-name", query={"experiment_name": "{experiment_name}"}),
    Attempt("GET", f"{_API}/experiments/search", query={"max_results": "100"}, lists=True),
    Attempt("POST", f"{_API}/experiments/search", {"max_results": 100}, lists=True),
    Attempt("POST", f"{_API}/experiments/update", {**_EXPERIMENT, "new_name": "mine"}),
    Attempt("POST", f"{_API}/experiments/delete", _EXPERIMENT),
    Attempt("POST", f"{_API}/experiments/restore", _EXPERIMENT),
    Attempt("POST", f"{_API}/experiments/set-experiment-tag", {**_EXPERIMENT, **_TAG}),
    Attempt("POST", f"{_API}/experiments/delete-experiment-tag", {**_EXPERIMENT, "key": "k"}),
    Attempt("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": ["{experiment}"]}),
    Attempt("POST", f"{_API}/runs/create", {**_EXPERIMENT, "start_time": 1}),
    Attempt("GET", f"{_API}/runs/get", query=_RUN),
    Attempt("POST", f"{_API}/runs/search", {"experiment_ids": ["{experiment}"]}, lists=True),
    Attempt("POST", f"{_API}/runs/update", {**_RUN, "run_name": "mine"}),
    Attempt("POST", f"{_API}/runs/delete", _RUN),
    Attempt("POST", f"{_API}/runs/restore", _RUN),
    Attempt("POST", f"{_API}/runs/log-batch", {**_RUN, "tags": [_TAG]}),
    Attempt("POST", f"{_API}/runs/log-inputs", {**_RUN, "datasets": []}),
    Attempt("POST", f"{_API}/runs/log-metric", {**_RUN, "key": "m", "value": 1.0, "timestamp": 1}),
    Attempt("POST", f"{_API}/runs/log-model", {**_RUN, "model_json": "{}"}),
    Attempt("POST", f"{_API}/runs/log-parameter", {**_RUN, **_TAG}),
    Attempt("POST", f"{_API}/runs/outputs", {**_RUN, "models": []}),
    Attempt("POST", f"{_API}/runs/set-tag", {**_RUN, **_TAG}),
    Attempt("POST", f"{_API}/runs/delete-tag", {**_RUN, "key": "k"}),
    Attempt("GET", f"{_API}/metrics/get-history", query={**_RUN, "metric_key": "accuracy"}),
    Attempt("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", query={**_RUN, "metric_key": "accuracy"}),
    Attempt(
        "GET",
        f"{_API}/metrics/get-history-bulk-interval",
        query={"run_ids": "{run}", "metric_key": "accuracy", "max_results": "5"},
    ),
    Attempt("GET", f"{_API}/artifacts/list", query=_RUN),
    Attempt("GET", "/get-artifact", query={**_RUN, "path": "config.yaml"}),
    Attempt("GET", "/model-versions/get-artifact", query={**_VERSION, "path": "MLmodel"}),
    Attempt(
        "POST", "/ajax-api/2.0/mlflow/upload-artifact", query={"run_uuid": "{run}", "path": "mine.txt"}, content=b"mine"
    ),
    Attempt("GET", f"{_PROXY}/artifacts", query={"path": "{experiment}"}),
    Attempt("GET", f"{_PROXY}/artifacts/<path:artifact_path>", path=_FILE),
    Attempt("PUT", f"{_PROXY}/artifacts/<path:artifact_path>", path=_FILE, content=b"mine"),
    Attempt("DELETE", f"{_PROXY}/artifacts/<path:artifact_path>", path=_FILE),
    Attempt("POST", f"{_PROXY}/mpu/create/<path:artifact_path>", {"path": "x", "num_parts": 1}, path=_FILE),
    Attempt(
        "POST", f"{_PROXY}/mpu/complete/<path:artifact_path>", {"path": "x", "upload_id": "u", "parts": []}, path=_FILE
    ),
    Attempt("POST", f"{_PROXY}/mpu/abort/<path:artifact_path>", {"path": "x", "upload_id": "u"}, path=_FILE),
    Attempt("POST", f"{_API}/logged-models", {**_EXPERIMENT, "name": "mine"}),
    Attempt("POST", f"{_API}/logged-models/search", {"experiment_ids": ["{experiment}"]}, lists=True),
    Attempt("GET", f"{_API}/logged-models/<model_id>", path=_LOGGED),
    Attempt("PATCH", f"{_API}/logged-models/<model_id>", {**_LOGGED, "status": "LOGGED_MODEL_READY"}, path=_LOGGED),
    Attempt("DELETE", f"{_API}/logged-models/<model_id>", path=_LOGGED),
    Attempt("GET", f"{_API}/logged-models/<model_id>/artifacts/directories", path=_LOGGED),
    Attempt(
        "GET",
        "/ajax-api/2.0/mlflow/logged-models/<model_id>/artifacts/files",
        query={"artifact_file_path": "MLmodel"},
        path=_LOGGED,
    ),
    Attempt("POST", f"{_API}/logged-models/<model_id>/params", {**_LOGGED, "params": [_TAG]}, path=_LOGGED),
    Attempt("PATCH", f"{_API}/logged-models/<model_id>/tags", {**_LOGGED, "tags": [_TAG]}, path=_LOGGED),
    Attempt("DELETE", f"{_API}/logged-models/<model_id>/tags/<tag_key>", path={**_LOGGED, "tag_key": "k"}),
    Attempt("POST", f"{_API}/registered-models/create", _NAME),
    Attempt("GET", f"{_API}/registered-models/get", query=_NAME),
    Attempt("GET", f"{_API}/registered-models/search", lists=True),
    Attempt("POST", f"{_API}/registered-models/rename", {**_NAME, "new_name": "mine"}),
    Attempt("PATCH", f"{_API}/registered-models/update", {**_NAME, "description": "mine"}),
    Attempt("DELETE", f"{_API}/registered-models/delete", _NAME),
    Attempt("POST", f"{_API}/registered-models/set-tag", {**_NAME, **_TAG}),
    Attempt("DELETE", f"{_API}/registered-models/delete-tag", {**_NAME, "key": "k"}),
    Attempt("GET", f"{_API}/registered-models/alias", query={**_NAME, "alias": "candidate"}),
    Attempt("POST", f"{_API}/registered-models/alias", {**_VERSION, "alias": "champion"}),
    Attempt("DELETE", f"{_API}/registered-models/alias", {**_NAME, "alias": "candidate"}),
    Attempt("GET", f"{_API}/registered-models/get-latest-versions", query=_NAME),
    Attempt("POST", f"{_API}/registered-models/get-latest-versions", _NAME),
    Attempt("POST", f"{_API}/model-versions/create", {**_NAME, "source": "models:/{logged_model}"}),
    Attempt("GET", f"{_API}/model-versions/get", query=_VERSION),
    Attempt("GET", f"{_API}/model-versions/search", lists=True),
    Attempt("GET", f"{_API}/model-versions/get-download-uri", query=_VERSION),
    Attempt("PATCH", f"{_API}/model-versions/update", {**_VERSION, "description": "mine"}),
    Attempt("DELETE", f"{_API}/model-versions/delete", _VERSION),
    Attempt("POST", f"{_API}/model-versions/set-tag", {**_VERSION, **_TAG}),
    Attempt("DELETE", f"{_API}/model-versions/delete-tag", {**_VERSION, "key": "k"}),
    Attempt(
        "POST",
        f"{_API}/model-versions/transition-stage",
        {**_VERSION, "stage": "Production", "archive_existing_versions": False},
    ),
]
NOBODYS = {
    ("GET", "/"),
    ("GET", "/version"),
    ("GET", "/api/2.0/mlflow/users/current"),
    ("GET", "/api/3.0/mlflow/ui-telemetry"),
}
"""Routes that tell nothing of any team."""
GRAPHQL = {("POST", "/graphql")}
"""Tested query by query."""
