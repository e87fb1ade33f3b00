"""A connection to the application over a pair of sockets: the test decides which bytes arrive together."""

import asyncio
import re
import socket
from collections.abc import Sequence
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from platform_lib.serving.transport.connection_watch import ConnectionLimits
from platform_lib.serving.transport.connections import connection_class

LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nX-Request-ID: last\r\nConnection: close\r\n\r\n"
"""A request whose response ends a conversation."""


def statuses(responses: bytes) -> list[int]:
    """The statuses of responses to pipelined requests."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", responses)]


async def converse(
    app: ASGIApp, packets: Sequence[bytes], *, limits: ConnectionLimits | None = None, half_close: bool = False
) -> bytes:
    """Send packets, each read before the next is sent; return all that comes back until the server closes."""
    options = {"http": connection_class(limits), "lifespan": "off", "ws": "none", "log_config": None}
    config = uvicorn.Config(app, access_log=False, **options)  # type: ignore[arg-type]
    config.load()
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours:
        transport, _ = await loop.connect_accepted_socket(
            lambda: config.http_protocol_class(config=config, server_state=ServerState(), app_state={}),  # type: ignore[call-arg]
            theirs,
        )
        try:
            for packet in packets:
                with suppress(BrokenPipeError):  # the server has closed
                    await loop.sock_sendall(ours, packet)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            if half_close:
                ours.shutdown(socket.SHUT_WR)
            answer = b""
            async with asyncio.timeout(60):
                with suppress(ConnectionResetError):  # closed with data of ours unread
                    while part := await loop.sock_recv(ours, 65536):
                        answer += part
            return answer
        finally:
            transport.abort()
