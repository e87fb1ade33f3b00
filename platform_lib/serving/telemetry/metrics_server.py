"""The HTTP server of `/metrics`: few connections, each for a short time, whoever opens them."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

MOST_CONNECTIONS = 32
"""A thread each. For one more, the oldest is closed."""
MOST_S = 10.0
"""For a request and its response."""


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Answers each connection in a thread."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, app: Callable[..., Any]) -> None:
        """Listen.

        Args:
            host: An IP address.
            port: 0 takes a free one.
            app: The WSGI application.
        Raises:
            OSError: The port is taken.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._open: dict[socket.socket, threading.Timer] = {}
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def start(self) -> None:
        """Answer from a thread until the process ends."""
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread; close the oldest one if there are too many."""
        timer = threading.Timer(MOST_S, _end, [request])
        timer.daemon = True
        with self._lock:
            if len(self._open) >= MOST_CONNECTIONS:
                oldest = next(iter(self._open))
                self._open.pop(oldest).cancel()
                _end(oldest)
            self._open[request] = timer
        timer.start()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            timer = self._open.pop(request, None)
        if timer is not None:
            timer.cancel()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke."""


def _end(request: socket.socket) -> None:
    """Wake the thread that waits for a connection, which then closes it."""
    with suppress(OSError):  # it is closed
        request.shutdown(socket.SHUT_RDWR)
