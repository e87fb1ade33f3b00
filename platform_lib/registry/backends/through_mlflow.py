"""Any other store, through MLflow's own client: another schema, another way to log in, another database."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from platform_lib.registry.backends.base import StoredRun, StoredVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

T = TypeVar("T")


class MlflowBackend:
    """MLflow's client. Implements `base.Backend`."""

    def __init__(self, client: "MlflowClient", uri: str) -> None:
        self._client, self._uri = client, uri
        self.set_registered_model_alias = client.set_registered_model_alias
        self.delete_registered_model_alias = client.delete_registered_model_alias
        self.set_model_version_tag = client.set_model_version_tag
        self.delete_model_version_tag = client.delete_model_version_tag

    def model_names(self) -> list[str]:
        """See `Backend`."""
        return [model.name for model in self._client.search_registered_models(max_results=1000)]

    def version(self, name: str, version: str) -> StoredVersion | None:
        """See `Backend`."""
        found = _or_none(lambda: self._client.get_model_version(name, version))
        return None if found is None else _version(found)

    def version_with_alias(self, name: str, alias: str) -> StoredVersion | None:
        """See `Backend`."""
        found = _or_none(lambda: self._client.get_model_version_by_alias(name, alias))
        return None if found is None else _version(found)

    def versions(self, name: str) -> list[StoredVersion]:
        """See `Backend`."""
        return [_version(found) for found in self._client.search_model_versions(f"name='{name}'", max_results=10000)]

    def aliases(self, name: str) -> dict[str, str]:
        """See `Backend`."""
        model = _or_none(lambda: self._client.get_registered_model(name))
        return {} if model is None else {alias: str(version) for alias, version in model.aliases.items()}

    def run(self, run_id: str) -> StoredRun | None:
        """See `Backend`."""
        run = _or_none(lambda: self._client.get_run(run_id))
        if run is None:
            return None
        return StoredRun(
            artifact_uri=run.info.artifact_uri,
            experiment_id=str(run.info.experiment_id),
            metrics=dict(run.data.metrics),
            tags=dict(run.data.tags),
        )

    def runs(self, run_ids: list[str]) -> dict[str, StoredRun]:
        """See `Backend`."""
        found = {run_id: self.run(run_id) for run_id in run_ids}
        return {run_id: run for run_id, run in found.items() if run is not None}

    def model_location(self, model_id: str) -> str:
        """See `Backend`."""
        return str(self._client.get_logged_model(model_id).artifact_location)

    def download(self, uri: str, target: str) -> None:
        """See `Backend`."""
        download(uri, target, self._uri)

    def read_text(self, uri: str) -> str | None:
        """See `Backend`."""
        return read_text(uri, self._uri)


def download(uri: str, target: str, tracking_uri: str) -> None:
    """Copy all files below an artifact URI into the existing folder `target`, with MLflow."""
    from mlflow.artifacts import download_artifacts

    folder = Path(download_artifacts(artifact_uri=uri, dst_path=target, tracking_uri=tracking_uri))
    if folder != Path(target) and folder.is_dir():
        for item in folder.iterdir():
            shutil.move(item, Path(target) / item.name)
        folder.rmdir()


def read_text(uri: str, tracking_uri: str) -> str | None:
    """The text of one file at an artifact URI, with MLflow; None if it cannot be read."""
    from mlflow.exceptions import MlflowException

    try:
        with tempfile.TemporaryDirectory(prefix="mlp-read-") as folder:
            from mlflow.artifacts import download_artifacts

            file = Path(download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=tracking_uri))
            return file.read_text(encoding="utf-8")
    except (MlflowException, OSError):
        return None


def _or_none(ask: Callable[[], T]) -> T | None:
    from mlflow.exceptions import MlflowException

    from platform_lib.registry.client import is_missing

    try:
        return ask()
    except MlflowException as err:
        if is_missing(err):
            return None
        raise


def _version(found: "ModelVersion") -> StoredVersion:
    return StoredVersion(
        name=found.name,
        version=str(found.version),
        run_id=found.run_id or "",
        source=found.source or "",
        tags=dict(found.tags or {}),
        created_ms=int(found.creation_timestamp),
    )
