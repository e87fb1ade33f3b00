"""What the registry asks of a store, whichever way it is reached."""

from dataclasses import dataclass, field
from typing import Protocol


class BackendError(Exception):
    """A store refused a request. The attributes are named as MLflow's errors name them."""

    def __init__(self, message: str, error_code: str = "INTERNAL_ERROR") -> None:
        super().__init__(message)
        self.error_code = error_code


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredVersion:
    """A version as the store has it."""

    name: str
    version: str
    run_id: str
    """Empty if the version was made without a run."""
    source: str
    tags: dict[str, str]
    created_ms: int
    """Milliseconds since the epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRun:
    """A run as the store has it."""

    artifact_uri: str
    experiment_id: str
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest values."""
    tags: dict[str, str] = field(default_factory=dict)


class Backend(Protocol):
    """A store of runs and versions. Errors are those that `registry.client.mlflow_errors` converts."""

    def model_names(self) -> list[str]:
        """Names of the registered models."""

    def version(self, name: str, version: str) -> StoredVersion | None:
        """One version; None if it does not exist."""

    def version_with_alias(self, name: str, alias: str) -> StoredVersion | None:
        """The version that an alias names; None if there is none."""

    def versions(self, name: str) -> list[StoredVersion]:
        """All versions of a model, in any order; empty if the model does not exist."""

    def aliases(self, name: str) -> dict[str, str]:
        """Version numbers by alias; empty if the model does not exist."""

    def run(self, run_id: str) -> StoredRun | None:
        """One run; None if it does not exist."""

    def runs(self, run_ids: list[str]) -> dict[str, StoredRun]:
        """Those of the runs that exist, by id."""

    def model_location(self, model_id: str) -> str:
        """The artifact URI of a logged model."""

    def download(self, uri: str, target: str) -> None:
        """Copy all files below an artifact URI that is not a local path into the existing folder `target`."""

    def read_text(self, uri: str) -> str | None:
        """The text of one file at an artifact URI that is not a local path; None if it cannot be read."""

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Let an alias name a version."""

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias."""

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version."""

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Remove a tag of a version."""
