"""LitServe with batching; its program is `apps/litserve_app.py`."""

from benchmarks.serving.peers.peer import Peer, Stage, Start


def start(stage: Stage) -> Start:
    """Start it by running its program."""
    return Start([str(stage.programs / "python"), "litserve_app.py", str(stage.port)], "/predict")


PEER = Peer(
    name="litserve",
    title="LitServe, batching",
    distribution="litserve",
    packages=("litserve", "pyzmq", "uvloop", "httptools"),
    page="LitServe: Batching; LitAPI; LitServer",
    configured="one worker, one API server, `fast_queue`, custom `batch` and `unbatch`, `max_batch_size` 64, "
    "`batch_timeout` 1 ms (with 5 ms, a single caller waits 5 ms)",
    start=start,
    answers=lambda answer: list(answer["predictions"]),
)
