"""Give every request an id, the caller's own if it is valid, and return it in the response header X-Request-ID."""

import os
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
HEADER_BYTES = HEADER.lower().encode()
_VALID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_ID_BYTES = 16
_pool = bytearray()


def request_id_from(given: bytes) -> str:
    """Return the caller's id if it is valid, else a new one of 32 hexadecimal digits."""
    return given.decode() if given and _VALID.fullmatch(given) else _new_id()


def _new_id() -> str:
    """Random bytes are read in blocks: a system call for each id would cost more than decoding a row."""
    if not _pool:
        _pool.extend(os.urandom(256 * _ID_BYTES))
    fresh = _pool[-_ID_BYTES:].hex()
    del _pool[-_ID_BYTES:]
    return fresh


class RequestIdMiddleware:
    """Sets `scope["request_id"]` and the response header. Raw ASGI, because Starlette's base class is slow."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_from(next((value for name, value in scope["headers"] if name == HEADER_BYTES), b""))
        scope["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (HEADER_BYTES, request_id.encode())]}
            await send(message)

        await self.app(scope, receive, send_with_id)
