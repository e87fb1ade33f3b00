"""An OpenID Connect issuer on loopback, which can also fail, hang, or send one byte at a time."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The public form of a key, as an issuer publishes it."""
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "use": "sig"}


@dataclass
class Issuer:
    """An issuer: discovery document and signing keys."""

    keys: dict[str, rsa.RSAPrivateKey]
    url: str = ""
    down: bool = False
    mode: str = "answer"
    """`answer`, `hang` or `drip`. Requests that hang end when it answers again."""
    fetches: int = 0
    connections: int = 0
    waiting: int = 0
    """Requests that hang or drip now."""
    strange: list[Any] = field(default_factory=list)
    """What stands in the key set besides."""

    def token(self, key_id: str = "one", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        payload = {"iss": self.url, "aud": "models", "sub": "checkout", "exp": now + 300, "iat": now} | claims
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, key or self.keys[key_id], algorithm=algorithm, headers={"kid": key_id})


@contextmanager
def issuer_server() -> Iterator[Issuer]:
    """Run an issuer with the keys `one` and `two` until the block ends."""
    state = Issuer({"one": make_key(), "two": make_key()})
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.connections += 1
            if state.mode != "answer":
                state.waiting += 1
                with suppress(OSError):
                    self._delay()
                state.waiting -= 1
                return
            if state.down:
                self.send_error(503)
                return
            if self.path == "/.well-known/openid-configuration":
                body: Any = {"issuer": state.url, "jwks_uri": f"{state.url}/keys"}
            else:
                state.fetches += 1
                body = {"keys": [*state.strange, *(public(key) | {"kid": name} for name, key in state.keys.items())]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def _delay(self) -> None:
            if state.mode == "drip":
                self.send_response(200)
                self.end_headers()
            while state.mode != "answer" and not ended.wait(0.05):
                if state.mode == "drip":
                    self.wfile.write(b" ")
                    self.wfile.flush()

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    ended.set()
    server.shutdown()
    server.server_close()
