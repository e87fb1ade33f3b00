"""Room for new connections and for what they hold: who has to go first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.types import Receive, Scope, Send

from platform_lib.serving.transport.connection_watch import ConnectionLimits
from platform_lib.serving.transport.connections import connection_class
from tests.serving.transport.wire import REQUEST, Line, open_line, statuses

HALF = b"GET / HTTP/1.1\r\nX-A: " + b"a" * 40_000
Lines = Callable[[], Awaitable[Line]]


@asynccontextmanager
async def server(limits: ConnectionLimits) -> AsyncIterator[tuple[Lines, asyncio.Event]]:
    """Opens connections to an application that responds to /slow once the event is set."""
    released = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await released.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    http = connection_class(limits)
    async with AsyncExitStack() as stack:
        yield lambda: stack.enter_async_context(open_line(app, http)), released


def run(limits: ConnectionLimits, story: Callable[[Lines, asyncio.Event], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with server(limits) as (line, released):
            await story(line, released)

    asyncio.run(inside())


def test_connections_that_never_asked_make_room_first_then_idle_ones() -> None:
    async def story(line: Lines, released: asyncio.Event) -> None:
        busy, idle, silent, half = [await line() for _ in range(4)]
        await busy.send(REQUEST % b"/slow")
        await idle.send(REQUEST % b"/")
        assert statuses(await idle.receive()) == [200]
        await half.send(HALF[:100])
        for gone, left in ((silent, [idle, half]), (half, [idle]), (idle, [])):
            newest = await line()
            await newest.send(REQUEST % b"/slow")
            await gone.receive_all()
            assert all(each.is_open() for each in (busy, newest, *left))
        refused = await line()
        assert statuses(await refused.receive_all()) == [503]
        released.set()
        assert statuses(await busy.receive()) == [200]

    run(ConnectionLimits(max_connections=4), story)


def test_of_what_is_held_the_oldest_is_dropped() -> None:
    async def story(line: Lines, _released: asyncio.Event) -> None:
        oldest, older, young = [await line() for _ in range(3)]
        for each in (oldest, older, young):
            await each.send(HALF)
        assert statuses(await oldest.receive_all()) == [503]
        await young.send(b"\r\n\r\n")
        assert statuses(await young.receive()) == [200]
        assert older.is_open()

    run(ConnectionLimits(max_pending_bytes=110_000), story)


def test_a_request_that_is_on_its_way_at_shutdown_is_answered() -> None:
    async def story(line: Lines, _released: asyncio.Event) -> None:
        connection = await line()
        await connection.send(REQUEST % b"/")
        assert statuses(await connection.receive()) == [200]
        connection.server.shutdown()
        await connection.send(REQUEST % b"/")
        answer = await connection.receive_all()
        assert statuses(answer) == [200]
        assert b"connection: close" in answer

    run(ConnectionLimits(), story)
