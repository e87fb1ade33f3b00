"""Where the report of a run is. Imports nothing heavy, for commands that only print it."""

from typing import TYPE_CHECKING

from platform_lib.registry.client import MODEL_TRAINING, mlflow_errors
from platform_lib.registry.files import local_path
from platform_lib.report import REPORT_FILE

if TYPE_CHECKING:
    from platform_lib.registry.versions import Registry


def report_address(registry: "Registry", run_id: str) -> str | None:
    """Address of a run's stored report: a file on this machine, else its page in MLflow, without a login.

    None if the run does not exist, or its files are on this machine without a report.
    """
    if not run_id:
        return None
    with mlflow_errors(registry.uri):
        run = registry.backend.run(run_id)
    if run is None:
        return None
    folder = local_path(run.artifact_uri)
    if folder is not None:
        return (folder / REPORT_FILE).as_uri() if (folder / REPORT_FILE).is_file() else None
    page = f"#/experiments/{run.experiment_id}/runs/{run_id}/artifacts/{REPORT_FILE}?{MODEL_TRAINING}"
    return f"{registry.uri.rstrip('/')}/{page}"
