"""A connection to the application over a pair of sockets: the test decides which bytes arrive together."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from platform_lib.serving.transport.connections import BoundedProtocol, connection_class

LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nX-Request-ID: last\r\nConnection: close\r\n\r\n"
"""A request whose response ends a conversation."""


def statuses(responses: bytes) -> list[int]:
    """The statuses of responses to pipelined requests."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", responses)]


REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


class Line:
    """The client's end of a connection."""

    def __init__(self, client: socket.socket, server: BoundedProtocol) -> None:
        self._client, self.server = client, server

    async def send(self, data: bytes) -> None:
        """Send data, and let the server read them."""
        with suppress(BrokenPipeError):  # the server has closed
            await asyncio.get_running_loop().sock_sendall(self._client, data)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def end(self) -> None:
        """Send nothing more."""
        self._client.shutdown(socket.SHUT_WR)

    async def receive(self) -> bytes:
        """What is there, or comes next; nothing if the server has closed."""
        async with asyncio.timeout(60):
            with suppress(ConnectionResetError):  # closed with data of ours unread
                return await asyncio.get_running_loop().sock_recv(self._client, 65536)
        return b""

    async def receive_all(self) -> bytes:
        """All that comes until the server closes."""
        found = b""
        while part := await self.receive():
            found += part
        return found

    def is_open(self) -> bool:
        """Whether the server has not closed; there must be nothing to receive."""
        try:
            return self._client.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True


@asynccontextmanager
async def open_line(app: ASGIApp, http: Callable[..., BoundedProtocol] | None = None) -> AsyncIterator[Line]:
    """Connect to an application."""
    options = {"http": http or connection_class(), "lifespan": "off", "ws": "none", "log_config": None}
    config = uvicorn.Config(app, access_log=False, **options)  # type: ignore[arg-type]
    config.load()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours:
        transport, server = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: config.http_protocol_class(config=config, server_state=ServerState(), app_state={}),  # type: ignore[call-arg]
            theirs,
        )
        try:
            yield Line(ours, server)  # type: ignore[arg-type]
        finally:
            transport.abort()


async def converse(app: ASGIApp, packets: Sequence[bytes], *, half_close: bool = False) -> bytes:
    """Send packets, each read before the next is sent; return all that comes back until the server closes."""
    async with open_line(app) as line:
        for packet in packets:
            await line.send(packet)
        if half_close:
            line.end()
        return await line.receive_all()
