"""BentoML with adaptive batching; its program is `apps/bentoml_app.py`."""

from benchmarks.serving.peers.peer import Peer, Stage, Start


def start(stage: Stage) -> Start:
    """Start it with `bentoml serve MODULE:Service`."""
    command = [
        str(stage.programs / "bentoml"),
        "serve",
        "bentoml_app:Predictions",
        "--host",
        "127.0.0.1",
        "--port",
        str(stage.port),
        "--quiet",
    ]
    home = stage.folder / "bentoml"
    home.mkdir()
    return Start(command, "/predict", {"BENTOML_HOME": str(home)})


PEER = Peer(
    name="bentoml",
    title="BentoML, adaptive batching",
    distribution="bentoml",
    packages=("bentoml", "uvloop", "httptools"),
    page="BentoML: Adaptive batching; Parallelize requests handling; Configurations",
    configured="`bentoml serve`, one worker, a `batchable` API with `max_batch_size` 4,096 rows and `max_latency_ms` "
    "60,000, access log and metrics off",
    start=start,
    answers=list,
)
