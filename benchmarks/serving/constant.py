"""A raw ASGI application with a constant response: the least that a response can cost on this HTTP server."""

from typing import Any

BODY = b'{"predictions":["setosa"]}'


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with the same bytes."""
    if scope["type"] != "http":
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(BODY))]})
    await send({"type": "http.response.body", "body": BODY})
