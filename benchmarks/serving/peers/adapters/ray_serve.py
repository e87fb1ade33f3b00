"""Ray Serve with `@serve.batch`; its program is `apps/ray_serve_app.py`.

Ray's own ports listen on every address; the port that serves predictions does not.
"""

from benchmarks.serving.peers.peer import Peer, Stage, Start


def start(stage: Stage) -> Start:
    """Start the program, which starts a one-node Ray cluster; Ray needs a short path for its sockets."""
    return Start(
        [str(stage.programs / "python"), "ray_serve_app.py", str(stage.port)],
        "/",
        {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"},
    )


PEER = Peer(
    name="ray_serve",
    title="Ray Serve, @serve.batch",
    distribution="ray",
    packages=("ray[serve]",),
    page="Ray Serve: Dynamic Request Batching; Performance Tuning",
    configured="one replica, `@serve.batch` with `max_batch_size` 64 and `batch_wait_timeout_s` 1 ms (5 ms was "
    "slower), `max_ongoing_requests` 1,000, `RAY_SERVE_THROUGHPUT_OPTIMIZED=1`, access log and dashboard off",
    start=start,
    answers=lambda answer: list(answer["predictions"]),
)
