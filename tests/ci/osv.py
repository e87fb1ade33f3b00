"""A server with OSV's query API, for tests of the audit."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@contextmanager
def osv_server(*vulnerable: str) -> Iterator[str]:
    """Serve a database in which these distributions have one vulnerability each; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            affected = {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
            }
            known = {"id": "PYSEC-2026-1", "summary": "A test.", "affected": [affected]}
            content = json.dumps({"vulns": [known]} if name in vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def osv() -> Iterator[str]:
    """Address of a database without any vulnerability."""
    with osv_server() as url:
        yield url


@pytest.fixture
def osv_with_click() -> Iterator[str]:
    """Address of a database in which click has a vulnerability."""
    with osv_server("click") as url:
        yield url
