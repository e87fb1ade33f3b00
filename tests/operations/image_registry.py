"""An image registry on loopback: as much of the OCI distribution API as a push and a look-up of a tag need."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Registry(BaseHTTPRequestHandler):
    """As much of the OCI distribution API as a push needs; keeps uploads in `stored`."""

    stored: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.stored.get(self.path.rpartition("/")[2])
        self._say(200 if body is not None or self.path == "/v2/" else 404, body or b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._body()
        self.stored["upload"] = b""
        self._say(202, headers={"Location": f"{self.path}1"})

    def do_PATCH(self) -> None:
        self.stored["upload"] += self._body()
        self._say(202, headers={"Location": self.path, "Range": f"0-{len(self.stored['upload']) - 1}"})

    def do_PUT(self) -> None:
        content = self._body()
        if "/manifests/" not in self.path:
            content = self.stored["upload"] + content
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.stored |= {digest: content, self.path.rpartition("/")[2].partition("?")[0]: content}
        self._say(201, headers={"Docker-Content-Digest": digest, "Location": self.path})

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _say(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        for name, value in {
            "Content-Length": str(len(body)),
            "Docker-Content-Digest": digest,
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@contextmanager
def image_registry() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the address and the content, by tag and by digest, of a registry that runs until the block ends."""
    handler: Any = type("Kept", (Registry,), {"stored": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", handler.stored
    server.shutdown()
    server.server_close()
    thread.join(10)
