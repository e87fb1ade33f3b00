"""The least that an answer can cost on this HTTP server: a constant one, by raw ASGI."""

from typing import Any

BODY = b'{"predictions":["setosa"]}'


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer anything with the same bytes."""
    if scope["type"] != "http":
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(BODY))]})
    await send({"type": "http.response.body", "body": BODY})
