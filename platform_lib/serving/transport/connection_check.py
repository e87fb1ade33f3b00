"""Check at start that `connections.BoundedProtocol`, which uses private parts of uvicorn, works with this uvicorn."""

import asyncio
import importlib.metadata
import logging
import socket
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from platform_lib.serving.transport.direct_response import direct_response_of

if TYPE_CHECKING:
    from platform_lib.serving.transport.connections import BoundedProtocol

FALLBACK = "h11"
"""uvicorn's other protocol class. It is slower, but it limits a request's head as well."""
_TIMEOUT_S = 5.0
_REQUEST = b"POST / HTTP/1.1\r\nhost: check\r\ncontent-length: 2\r\n\r\n{}"
_UPGRADE = _REQUEST.replace(b"\r\n\r\n", b"\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n")
_RESPONSE_HEADERS = b"content-length: 2\r\n"


def connection_problem() -> str | None:
    """Send a request through the protocol class; return why it does not work, None if it does."""
    uvicorn_log = logging.getLogger("uvicorn.error")
    was_disabled = uvicorn_log.disabled
    uvicorn_log.disabled = True  # it would report the head that is too large
    try:
        from platform_lib.serving.transport.connections import BoundedProtocol

        asyncio.run(_check(BoundedProtocol))
    except Exception as err:
        version = importlib.metadata.version("uvicorn")
        return (
            f"uvicorn {version} does not support our fast connections ({type(err).__name__}: {err!s:.200}); "
            f"its own protocol class {FALLBACK} is used, which is slower. Install a version that platform-lib declares."
        )
    finally:
        uvicorn_log.disabled = was_disabled
    return None


async def _check(protocol: "type[BoundedProtocol]") -> None:
    failure: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            direct = direct_response_of(scope)
            if direct is None or direct.body() != b"{}" or not direct.respond(_RESPONSE_HEADERS, b"{}"):
                raise RuntimeError("a complete request is not recognized")
        except Exception as err:
            failure.set_exception(err)

    for request in (_REQUEST, _UPGRADE):
        response = await _exchange(protocol, app, request, failure)
        if not (response.startswith(b"HTTP/1.1 200 OK\r\n") and response.endswith(_RESPONSE_HEADERS + b"\r\n{}")):
            raise RuntimeError(f"the response is {response!r:.80}")
    many = b"".join(b"x-%d: 1\r\n" % number for number in range(300))
    response = await _exchange(protocol, app, b"GET / HTTP/1.1\r\n" + many + b"\r\n", failure)
    if not response.startswith(b"HTTP/1.1 431 "):
        raise RuntimeError(f"the response to a head that is too large is {response!r:.80}")


async def _exchange(
    protocol: "type[BoundedProtocol]", app: object, request: bytes, failure: "asyncio.Future[bytes]"
) -> bytes:
    """Send a request over a socket pair and return the start of the response; raise what the application raised."""
    import uvicorn
    from uvicorn.server import ServerState

    config = uvicorn.Config(app, http=protocol, lifespan="off", ws="none", log_config=None, access_log=False)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.settimeout(0)
    with ours, theirs:
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol(config=config, server_state=ServerState(), app_state={}), theirs
        )
        try:
            await loop.sock_sendall(ours, request)
            received = asyncio.ensure_future(loop.sock_recv(ours, 65_536))
            done, pending = await asyncio.wait(
                (failure, received), timeout=_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if failure not in done and received not in done:
                raise TimeoutError(f"no response within {_TIMEOUT_S:g} s")
            if received in pending:
                received.cancel()
            return (failure if failure in done else received).result()
        finally:
            transport.abort()
