"""LitServe with batching. The program is `apps/litserve_app.py`."""

from benchmarks.serving.peers.peer import Peer, Stage, Start


def start(stage: Stage) -> Start:
    """LitServe is started by its program."""
    return Start([str(stage.programs / "python"), "litserve_app.py", str(stage.port)], "/predict")


PEER = Peer(
    name="litserve",
    title="LitServe, batching",
    distribution="litserve",
    packages=("litserve", "pyzmq", "uvloop", "httptools"),
    page="LitServe: Batching; LitAPI; LitServer",
    configured="one worker, one API server, `fast_queue`, `batch` and `unbatch` of its own, "
    "`max_batch_size` 64, `batch_timeout` 1 ms (5 ms cost a single caller 5 ms)",
    start=start,
    answers=lambda answer: list(answer["predictions"]),
)
