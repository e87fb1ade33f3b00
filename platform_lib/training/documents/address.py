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
    return f"{registry.uri.rstrip('/')}/{_page(run.experiment_id, run_id)}"


def report_page(registry: "Registry", run_id: str) -> str:
    """Address of a run's report within MLflow's pages, which leads there from every page of the same server."""
    with mlflow_errors(registry.uri):
        return _page(registry.client.get_run(run_id).info.experiment_id, run_id)


def _page(experiment_id: str, run_id: str) -> str:
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{REPORT_FILE}?{MODEL_TRAINING}"
