"""Connect sockets across network namespaces with a pair of relays over path sockets.

Path sockets are not bound to a namespace, so two relays make a TCP port reachable from another namespace.

    python relay.py            # reads lines "LISTEN CONNECT", each `unix:PATH` or `tcp:HOST:PORT`; ends with its input

Standard library only, without imports from this project: it runs in bare namespaces and must start fast.
"""

import asyncio
import sys
from contextlib import suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHUNK_BYTES = 1 << 16


async def _connect(address: str) -> Streams:
    kind, _, rest = address.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(rest)
    host, _, port = rest.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def listen(address: str, target: str) -> None:
    """Accept connections at `address` until stopped and connect each to `target`.

    A connection is closed at once if nothing listens at the target.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await _connect(target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        for end in (writer, far_writer):
            end.close()

    kind, _, rest = address.partition(":")
    if kind == "unix":
        await asyncio.start_unix_server(serve, rest)
    else:
        host, _, port = rest.rpartition(":")
        await asyncio.start_server(serve, host, int(port))


async def main() -> None:
    """Relay according to standard input until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        address, target = line.decode().split()
        await listen(address, target)


if __name__ == "__main__":
    asyncio.run(main())
