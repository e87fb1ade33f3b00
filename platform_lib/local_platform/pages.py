"""Pages of the local platform to open in a browser, as links that log in once."""

from collections.abc import Mapping
from typing import Any

from platform_lib.local_login import login_link
from platform_lib.local_platform.health import get_json, loopback_client, mlflow_login
from platform_lib.registry.client import MODEL_TRAINING
from platform_lib.settings import Project

_API = "/api/2.0/mlflow"


def links(project: Project, addresses: Mapping[str, str]) -> dict[str, str]:
    """Return title → link of every service that has pages.

    Args:
        project: The project.
        addresses: Service name → address of the services that are up.
    """
    found = {}
    if url := addresses.get("mlflow"):
        found["MLflow"] = login_link(project, f"{url}/#{_runs(project, url)}?{MODEL_TRAINING}", "mlflow")
    if url := addresses.get("prefect"):
        found["Prefect"] = login_link(project, f"{url}/runs", "prefect")
    if url := addresses.get("models"):
        found["model server"] = f"{url}/docs"
    return found


def _runs(project: Project, url: str) -> str:
    said = _ask(project, f"{url}{_API}/experiments/get-by-name", experiment_name=project.name)
    experiment = said.get("experiment", {}).get("experiment_id")
    return f"/experiments/{experiment}/runs" if experiment else "/experiments"


def _ask(project: Project, url: str, **parameters: str) -> dict[str, Any]:
    with loopback_client() as client:
        said = get_json(client, url, mlflow_login(project), **parameters)
    return said if isinstance(said, dict) else {}
