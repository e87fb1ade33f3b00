"""FastAPI as most people first write it; its program is `apps/naive_fastapi_app.py`.

A pydantic model, a DataFrame of records, a `def` endpoint and `predict`.
"""

from benchmarks.serving.peers.peer import Peer, Stage, Start


def start(stage: Stage) -> Start:
    """Start one uvicorn process with uvloop and httptools, as `uvicorn[standard]` installs them."""
    command = [
        str(stage.programs / "uvicorn"),
        "naive_fastapi_app:app",
        "--host",
        "127.0.0.1",
        "--port",
        str(stage.port),
    ]
    return Start([*command, "--no-access-log", "--log-level", "warning"], "/predict")


PEER = Peer(
    name="naive_fastapi",
    title="FastAPI, hand-written",
    distribution="fastapi",
    packages=("fastapi", "uvicorn[standard]"),
    page="FastAPI: Request Body; Run a Server Manually",
    configured="one uvicorn process with uvloop and httptools; a pydantic model per row, a `DataFrame` of the "
    "records, a `def` endpoint that calls `predict`",
    start=start,
    body=lambda _, rows: {"rows": list(rows)},
    answers=lambda answer: list(answer["predictions"]),
)
