"""`HEAD` on every path that answers `GET`: the same status and headers, without the body."""

from starlette.types import Message, Scope, Send


def as_get(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """Return what the application sees of a `HEAD` request, and what sends its response without the body."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    # A copy, because the server must still see that the request is a HEAD.
    return {**scope, "method": "GET"}, send_head
