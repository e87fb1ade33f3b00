"""FastAPI as people write it first: pydantic, a DataFrame of records, a `def` endpoint, `predict`. The program is `apps/naive_fastapi_app.py`."""

from benchmarks.serving.peers.peer import Peer, Stage, Start


def start(stage: Stage) -> Start:
    """One uvicorn process with uvloop and httptools, as `uvicorn[standard]` installs them."""
    command = [str(stage.programs / "uvicorn"), "naive_fastapi_app:app", "--host", "127.0.0.1", "--port", str(stage.port)]
    return Start([*command, "--no-access-log", "--log-level", "warning"], "/predict")


PEER = Peer(
    name="naive_fastapi",
    title="FastAPI, written plainly",
    distribution="fastapi",
    packages=("fastapi", "uvicorn[standard]"),
    page="FastAPI: Request Body; Run a Server Manually",
    configured="one uvicorn process with uvloop and httptools; pydantic model of a row, `DataFrame` of the records, a `def` endpoint, `predict`",
    start=start,
    body=lambda _, rows: {"rows": list(rows)},
    answers=lambda answer: list(answer["predictions"]),
)
