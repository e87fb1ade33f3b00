"""Attack a server in every way at once, and watch its memory and /healthz.

    python -m benchmarks.serving.soak --minutes 60

One process attacks over raw connections, with and without a key; another sends ordinary predictions; this one asks
/healthz. Exits with 1 if memory grows after the first attack, a prediction failed, or /healthz took longer than
100 ms. On a machine with other work, its latency says little.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.serving.connection import Connection
from benchmarks.serving.models import iris
from benchmarks.serving.own import LOAD_CORE, SERVER_CORE, memory_mib, serving

GROWTH_MIB = 48.0
"""More growth than this after the first attack is a leak. glibc's allocator keeps less, in pieces of freed memory:
after a short soak, `malloc_trim` gave back 22 of 40 MiB, and a garbage collection nothing."""
PARTS = 5
"""The first attack lasts this part of the time."""
HEALTH_MS = 100.0
EVERY_S = 0.05
WARM_S, SETTLE_S = 10.0, 30.0
MIB = 2**20

Address = tuple[str, int]


def _head(start: bytes, headers: bytes = b"") -> bytes:
    return start + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + b"\r\n"


_CHUNKED = _head(b"POST /predict", b"Transfer-Encoding: chunked\r\n")
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "header": (_head(b"GET /healthz")[:-2] + b"X-A: ", b"a" * 4096),
    "headers": (_head(b"GET /healthz")[:-2], b"X-A: a\r\n" * 512),
    "trailer": (_CHUNKED + b"0\r\nX-A: ", b"a" * 4096),
    "trailers": (_CHUNKED + b"0\r\n", b"X-A: a\r\n" * 512),
    "chunk extension": (_CHUNKED + b"5;", b"a" * 4096),
    "empty lines": (b"", b"\r\n" * 2048),
    "pipelined GETs": (b"", b"GET /nope HTTP/1.1\r\n\r\n" * 200),
    "pipelined documents": (b"", b"GET /openapi.json HTTP/1.1\r\n\r\n" * 200),
    "pipelined POSTs": (b"", (_head(b"POST /predict", b"Content-Length: 2\r\n") + b"{}") * 50),
    "upgrades": (b"", _head(b"GET /nope", b"Upgrade: h2c\r\nConnection: upgrade\r\n") * 50),
    "body for nobody": (_head(b"POST /nope", b"Content-Length: 1000000000\r\n"), b"a" * 65536),
    "noise": (b"", bytes(range(256)) * 16),
}
WAITING: dict[str, tuple[bytes, int]] = {
    "silent": (b"", 200),
    "half a head": (_head(b"GET /healthz", b"X-A: " + b"a" * 60_000 + b"\r\n")[:-2], 100),
    "large head, then idle": (_head(b"GET /healthz", b"X-A: " + b"a" * 60_000 + b"\r\n"), 100),
    "half a body": (_head(b"POST /predict", b"Content-Length: 1000000\r\n") + b"a" * 50_000, 50),
}


async def _endless(address: Address, begin: bytes, part: bytes) -> None:
    _reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(begin)
        for _ in range(4 * MIB // len(part)):
            writer.write(part)
            async with asyncio.timeout(1):
                await writer.drain()  # the server stops reading, or closes
            await asyncio.sleep(0)
    finally:
        writer.transport.abort()


async def _waiting(address: Address, sent: bytes, count: int) -> None:
    writers = []
    try:
        for _ in range(count):
            writers.append((await asyncio.open_connection(*address))[1])
            writers[-1].write(sent)
        await asyncio.sleep(random.uniform(1, 15))
    finally:
        for writer in writers:
            writer.transport.abort()


async def _refused_batch(address: Address, key: str, body: bytes) -> None:
    connection = Connection(f"http://{address[0]}:{address[1]}")
    async with connection:
        status, _ = await connection.post("/predict", body, {"Authorization": f"Bearer {key}"})
        assert status in (413, 422, 503), status
    await asyncio.sleep(2)


async def _held_body(address: Address, key: str, body: bytes) -> None:
    head = _head(b"POST /predict", b"Authorization: Bearer %b\r\nContent-Length: %d\r\n" % (key.encode(), len(body)))
    _, writer = await asyncio.open_connection(*address)
    try:
        writer.write(head + body[: len(body) // 2])
        await asyncio.sleep(random.uniform(1, 5))
    finally:
        writer.transport.abort()


async def _forever(attack: Callable[[], Awaitable[None]]) -> None:
    while True:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            await attack()
        await asyncio.sleep(0.02)


async def _attack(address: Address, key: str, row: dict[str, object], seconds: float) -> None:
    many_rows = json.dumps({"rows": [row] * 110_000}).encode()[: 15 * MIB]
    too_many = json.dumps({"rows": [row] * 50_000}).encode()
    empty_rows = b'{"rows":[' + b",".join([b"{}"] * 3_000_000) + b"]}"
    attacks: list[Callable[[], Awaitable[None]]] = [
        *(lambda begin=begin, part=part: _endless(address, begin, part) for begin, part in ENDLESS.values()),  # type: ignore[misc]
        *(lambda sent=sent, count=count: _waiting(address, sent, count) for sent, count in WAITING.values()),  # type: ignore[misc]
        *(lambda body=body: _refused_batch(address, key, body) for body in (too_many, empty_rows)),  # type: ignore[misc]
        lambda: _held_body(address, key, many_rows),
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for attack in attacks:
                group.create_task(_forever(attack))


def attack(address: Address, key: str, row: dict[str, object], seconds: float) -> None:
    """Attack in every way at once, in a process of its own."""
    _use_core(LOAD_CORE)
    asyncio.run(_attack(address, key, row, seconds))


def send_predictions(address: Address, key: str, row: dict[str, object], seconds: float, failed: list[int]) -> None:
    """Send ordinary predictions over four connections; count those without a response of 200."""

    async def one(deadline: float) -> None:
        connection = Connection(f"http://{address[0]}:{address[1]}")
        body = json.dumps({"rows": [row]}).encode()
        while time.monotonic() < deadline:
            status = 0
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                status, _ = await connection.post("/predict", body, {"Authorization": f"Bearer {key}"})
            if status == 0:
                connection.close()
            failed[0] += 1
            failed[1] += status != 200
            await asyncio.sleep(0.02)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(time.monotonic() + seconds) for _ in range(4)))

    _use_core(LOAD_CORE)
    asyncio.run(all_of_them())


def _use_core(core: int) -> None:
    if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [core])


def get_ms(address: Address, path: bytes = b"/healthz") -> float:
    """Milliseconds of one request over a new connection."""
    begun = time.perf_counter()
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(_head(b"GET " + path, b"Connection: close\r\n"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:100]
    return (time.perf_counter() - begun) * 1000


def _watch(address: Address, seconds: float) -> list[float]:
    deadline = time.monotonic() + seconds
    found = []
    while time.monotonic() < deadline:
        found.append(get_ms(address))
        time.sleep(EVERY_S)
    return sorted(found)


def main() -> None:
    """Attack for some minutes, print what happened, and exit with 1 if the server missed a promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="duration of the attack")
    seconds = parser.parse_args().minutes * 60
    model = iris()
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(model, Path(folder), "--keep-alive-s", "20", core=SERVER_CORE) as running,
        context.Manager() as manager,
    ):
        parts = urlsplit(running.url)
        address = (str(parts.hostname), int(parts.port or 80))
        key = running.headers["Authorization"].removeprefix("Bearer ")
        counts = manager.list([0, 0])
        given = (address, key, model.rows[0])
        predictions = context.Process(
            target=send_predictions, args=(*given, WARM_S + seconds + 2 * SETTLE_S, counts), daemon=True
        )
        predictions.start()
        for path in (b"/openapi.json", b"/docs"):
            get_ms(address, path)  # what the server builds once is no leak
        calm = _watch(address, WARM_S)
        memory = [memory_mib(running.process)[0]]
        health, most = [], memory[0]
        for part_s in (seconds / PARTS, seconds - seconds / PARTS):
            attackers = context.Process(target=attack, args=(*given, part_s), daemon=True)
            attackers.start()
            deadline = time.monotonic() + part_s
            while time.monotonic() < deadline:
                health += _watch(address, 5)
                most = max(most, memory_mib(running.process)[0])
            attackers.join(60)
            _watch(address, SETTLE_S)
            memory.append(memory_mib(running.process)[0])
        predictions.join(60)
        sent, failed = counts
    health.sort()
    before, first, after = memory
    print(f"{seconds / 60:g} minutes: {before:.0f} MiB of memory before, {first:.0f} after the first attack, ", end="")
    print(f"{after:.0f} at the end, at most {most:.0f}")
    print(f"/healthz before the attack: p50 {calm[len(calm) // 2]:.1f} ms, worst {calm[-1]:.1f} ms")
    print(f"/healthz: p50 {health[len(health) // 2]:.1f} ms, p99 {health[len(health) * 99 // 100]:.1f} ms, ", end="")
    print(f"worst {health[-1]:.1f} ms of {len(health)}; {sent} predictions, {failed} failed")
    sys.exit(after - first > GROWTH_MIB or health[-1] > HEALTH_MS or failed > 0)


if __name__ == "__main__":
    main()
