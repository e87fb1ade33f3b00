"""`python -m platform_lib.local_platform.mlflow_server`: MLflow's server on a project's store, in one process.

`mlflow server` imports MLflow twice, in itself and in a worker, and takes about twice the time and memory. It is the
fallback for MLflow versions whose server module has moved.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from platform_lib.local_platform.service import HOST

_STORE, _ARTIFACT_ROOT = "_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_ARTIFACT_ROOT"


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    database: Path = options.database
    from platform_lib.registry.store import ensure_database

    ensure_database(database)
    store = f"sqlite:///{database.as_posix()}"
    # Clients read and write artifacts directly, so that a run looks the same with and without a server.
    artifacts = (database.parent / "artifacts").as_uri()
    os.environ |= {_STORE: store, _ARTIFACT_ROOT: artifacts}
    if not _serve_in_this_process(options.port):
        command = ["server", "--backend-store-uri", store, "--default-artifact-root", artifacts, "--no-serve-artifacts"]
        subprocess.run(
            [sys.executable, "-m", "mlflow", *command, "--host", HOST, "--port", str(options.port), "--workers", "1"],
            check=True,
        )


def _serve_in_this_process(port: int) -> bool:
    try:
        import uvicorn
        from mlflow.server import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR
        from mlflow.server.fastapi_app import app
    except ImportError:
        return False
    if (BACKEND_STORE_URI_ENV_VAR, ARTIFACT_ROOT_ENV_VAR) != (_STORE, _ARTIFACT_ROOT):
        return False
    uvicorn.run(app, host=HOST, port=port, access_log=False)
    return True


if __name__ == "__main__":
    main()
