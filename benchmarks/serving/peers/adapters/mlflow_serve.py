"""`mlflow models serve`, MLflow's own model server.

`apps/mlflow_model.py` saves the model with a signature, as MLflow recommends.
"""

import subprocess

from benchmarks.serving.peers.peer import Peer, Stage, Start
from benchmarks.serving.peers.processes import Failed


def start(stage: Stage) -> Start:
    """Start one uvicorn worker in the present environment; the start time does not include saving the model."""
    saved = subprocess.run(
        [str(stage.programs / "python"), "mlflow_model.py"], cwd=stage.folder, capture_output=True, text=True
    )
    if saved.returncode:
        raise Failed(f"the model could not be saved: {saved.stderr.strip().splitlines()[-1]}")
    command = [str(stage.programs / "mlflow"), "models", "serve", "--model-uri", "model", "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(stage.port), "--workers", "1"]
    return Start(command, "/invocations", {"UVICORN_ACCESS_LOG": "false", "UVICORN_LOG_LEVEL": "warning"})


PEER = Peer(
    name="mlflow_serve",
    title="mlflow models serve",
    distribution="mlflow",
    packages=("mlflow",),
    page="MLflow: Deploy MLflow Model as a Local Inference Server; Model Signatures and Input Examples",
    configured="`mlflow models serve --env-manager local --workers 1` (uvicorn), model with a signature, "
    "`dataframe_split` bodies, no batching",
    start=start,
    body=lambda columns, rows: {
        "dataframe_split": {"columns": list(columns.names), "data": [list(row.values()) for row in rows]}
    },
    answers=lambda answer: list(answer["predictions"]),
)
