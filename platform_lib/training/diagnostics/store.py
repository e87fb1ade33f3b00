"""Store diagnostics with an MLflow run, and read them again."""

from typing import TYPE_CHECKING

import msgspec

from platform_lib.errors import ServiceError
from platform_lib.registry.client import mlflow_errors
from platform_lib.training.diagnostics.tables import Diagnostics

if TYPE_CHECKING:
    from platform_lib.registry.versions import Registry

DIAGNOSTICS_FILE = "diagnostics.json"
"""Artifact of a run, as `tables.Diagnostics`."""


def log_diagnostics(registry: "Registry", run_id: str, diagnostics: Diagnostics) -> None:
    """Store the tables.

    Raises:
        ServiceError: The registry does not take them.
    """
    with mlflow_errors(registry.uri):
        registry.client.log_text(run_id, msgspec.json.encode(diagnostics).decode(), DIAGNOSTICS_FILE)


def load_diagnostics(registry: "Registry", run_id: str) -> Diagnostics | None:
    """The diagnostics of a run; None if it has none, or those of another library with another schema."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        with mlflow_errors(registry.uri):
            location = registry.client.get_run(run_id).info.artifact_uri
            try:
                text = mlflow.artifacts.load_text(f"{location}/{DIAGNOSTICS_FILE}")
            except (MlflowException, OSError):
                return None
    except ServiceError:
        return None
    try:
        return msgspec.json.decode(text, type=Diagnostics)
    except msgspec.DecodeError:
        return None
