"""Serve the real application with uvicorn on loopback, in a thread of the test's process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from platform_lib.serving.server import open_listener, uvicorn_options
from platform_lib.serving.settings import WorkerOptions
from platform_lib.serving.transport.connection_watch import ConnectionLimits
from tests.waiting import wait_until


@contextmanager
def live(app: FastAPI, limits: ConnectionLimits | None = None) -> Iterator[str]:
    """Serve an application until the block ends, with the options of `mlp serve`; yields its address."""
    listener = open_listener("127.0.0.1", 0)
    options = uvicorn_options(WorkerOptions(reference="", tracking_uri=""), limits or ConnectionLimits())
    server = uvicorn.Server(uvicorn.Config(app, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), "the server", timeout_s=30)
        assert thread.is_alive(), "the server did not start"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
