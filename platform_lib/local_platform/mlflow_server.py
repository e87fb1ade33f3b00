"""`python -m platform_lib.local_platform.mlflow_server`: MLflow's server on a project's store, behind the guard.

It runs in one process. `mlflow server` imports MLflow twice, in itself and in a worker, and takes about twice the time
and memory.
"""

import argparse
import os
import sys
from pathlib import Path

from platform_lib.local_platform.guard import Guard, Site
from platform_lib.local_platform.service import HOST

_STORE, _ARTIFACT_ROOT = "_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_ARTIFACT_ROOT"
PAGES = {
    # MLflow opens its pages for language models unless a browser remembers another choice.
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.settings.telemetry.enabled_v1": "false",
    "mlflow.telemetry.info.alert.dismissed_v1": "true",
}
"""Entries of the browser's local storage, as MLflow's pages write them: JSON under names with a version."""


def main() -> None:
    """Serve until stopped. The password comes from the environment, as clients take it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    database: Path = options.database
    site = Site(
        service="mlflow",
        port=options.port,
        password=os.environ["MLFLOW_TRACKING_PASSWORD"],
        stored=PAGES,
        open_paths=frozenset({"/health"}),
    )
    from platform_lib.registry.store import ensure_database

    ensure_database(database)
    # Clients read and write artifacts directly, so that a run looks the same with and without a server.
    artifacts = (database.parent / "artifacts").as_uri()
    os.environ |= {_STORE: f"sqlite:///{database.as_posix()}", _ARTIFACT_ROOT: artifacts}
    import uvicorn
    from mlflow import __version__
    from mlflow.server import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR
    from mlflow.server.fastapi_app import app

    if (BACKEND_STORE_URI_ENV_VAR, ARTIFACT_ROOT_ENV_VAR) != (_STORE, _ARTIFACT_ROOT):
        sys.exit(f"MLflow {__version__} takes its store from other variables; install an earlier version.")
    uvicorn.run(Guard(app, site), host=HOST, port=options.port, access_log=False)


if __name__ == "__main__":
    main()
