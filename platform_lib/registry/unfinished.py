"""Remove what an interrupted registration left: logged models that were never finished, and their local files."""

import shutil
from typing import TYPE_CHECKING

from platform_lib.registry.files import local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

_LATEST = 100


def discard(client: "MlflowClient", model: "LoggedModel") -> None:
    """Delete a logged model that no version names, and its files if they are on this machine."""
    folder = local_path(model.artifact_location)
    # MLflow keeps the files of a deleted model until `mlflow gc`; its folder is …/models/<id>/artifacts.
    # They go first: on a full disk they may be what leaves the database no room.
    if folder is not None and folder.parent.name == model.model_id:
        shutil.rmtree(folder.parent, ignore_errors=True)
    client.delete_logged_model(model.model_id)


def remove_unfinished(client: "MlflowClient", experiment_id: str, name: str) -> int:
    """Delete the logged models that runs left unfinished when they were killed. Returns how many.

    Args:
        client: Of the store.
        experiment_id: Of the project.
        name: Of the model; others in the experiment are the user's own.
    """
    from mlflow.entities import LoggedModelStatus

    # Stores keep the status as a number, and so a filter by its name finds nothing.
    newest = [{"field_name": "creation_time", "ascending": False}]
    found = client.search_logged_models([experiment_id], f"name = '{name}'", max_results=_LATEST, order_by=newest)
    pending = [model for model in found if model.status == LoggedModelStatus.PENDING]
    left = [model for model in pending if not _is_running(client, model.source_run_id)]
    for model in left:
        discard(client, model)
    return len(left)


def _is_running(client: "MlflowClient", run_id: str | None) -> bool:
    from mlflow.exceptions import MlflowException

    from platform_lib.registry.client import is_missing

    try:
        return bool(run_id) and client.get_run(run_id).info.status == "RUNNING"
    except MlflowException as err:
        if is_missing(err):
            return False
        raise
