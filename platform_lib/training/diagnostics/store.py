"""Store diagnostics and their pictures with an MLflow run, and read them again."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from platform_lib.errors import ServiceError
from platform_lib.registry.client import mlflow_errors
from platform_lib.training.diagnostics.tables import Diagnostics, Picture

if TYPE_CHECKING:
    from platform_lib.registry.versions import Registry

DIAGNOSTICS_FILE = "diagnostics.json"
"""Artifact of a run, as `tables.Diagnostics`."""


def store_diagnostics(registry: "Registry", run_id: str, diagnostics: Diagnostics) -> Diagnostics:
    """Draw the pictures, and store them and the tables with the run. Without pictures the tables are stored alone.

    Returns:
        The tables as stored, with the names of the pictures.
    Raises:
        ServiceError: The registry does not take the tables.
    """
    from platform_lib.training.diagnostics.pictures.draw import draw_pictures  # not for those who only read

    drawn, failed = draw_pictures(diagnostics)
    if drawn:
        try:
            _upload(registry, run_id, drawn)
        except ServiceError as err:
            drawn, failed = [], {**failed, "pictures": str(err)}
    stored = msgspec.structs.replace(
        diagnostics,
        pictures=[picture for picture, _ in drawn],
        not_computed={**diagnostics.not_computed, **failed},
    )
    with mlflow_errors(registry.uri):
        registry.client.log_text(run_id, msgspec.json.encode(stored).decode(), DIAGNOSTICS_FILE)
    return stored


def _upload(registry: "Registry", run_id: str, drawn: Sequence[tuple[Picture, bytes]]) -> None:
    with tempfile.TemporaryDirectory(prefix="mlp-diagnostics-") as temporary:
        for picture, content in drawn:
            file = Path(temporary) / picture.file
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        with mlflow_errors(registry.uri):
            registry.client.log_artifacts(run_id, temporary)


def load_diagnostics(registry: "Registry", run_id: str) -> Diagnostics | None:
    """The diagnostics of a run; None if it has none, or those of another library with another schema."""
    try:
        text = registry.run_file(run_id, DIAGNOSTICS_FILE)
    except ServiceError:
        return None
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Diagnostics)
    except msgspec.DecodeError:
        return None
