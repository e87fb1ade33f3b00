"""Promote and roll back under load.

No request may fail, and each response must be that of the version that it names.

    python -m benchmarks.serving.swaps          # 20 promotions and 5 rollbacks under 32 connections
"""

import argparse
import asyncio
import json
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.connection import Connection
from benchmarks.serving.registered import NAME, Registered, register_versions, rows, serving

PROMOTIONS, ROLLBACKS, VERSIONS, BODIES = 20, 5, 5, 16
AFTER_S = 0.25
"""Requests up to this long after a swap count as around it."""


@dataclass(slots=True)
class Seen:
    """Everything that the callers saw."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    """When each request was sent, and how long it took, in seconds."""
    versions: dict[str, int] = field(default_factory=dict)
    last_version: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """A request, and the expected response of each version."""

    content: bytes
    answers: dict[str, dict[str, Any]]


def make_bodies(registered: Registered) -> list[Body]:
    """Make requests of one to four rows."""
    made = []
    for number in range(BODIES):
        some = rows(1 + number % 4, seed=1000 + number)
        answers = {}
        for version in registered.pipelines:
            offline = registered.answer(version, some)
            assert offline.probabilities is not None
            shares = [dict(zip(map(str, offline.classes), row, strict=True)) for row in offline.probabilities.tolist()]
            answers[version] = {"predictions": offline.values.tolist(), "probabilities": shares}
        made.append(Body(json.dumps({"rows": some}).encode(), answers))
    return made


async def call(url: str, bodies: Sequence[Body], seen: Seen, stop: asyncio.Event, first: int) -> None:
    """Send requests without pause on one connection."""
    number = first
    async with Connection(url) as connection:
        while not stop.is_set():
            body = bodies[number % len(bodies)]
            number += 1
            start = time.perf_counter()
            try:
                status, answer = await connection.post("/predict", body.content)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as err:
                seen.failures.append(repr(err))
                connection.close()
                continue
            seen.requests += 1
            seen.latencies.append((start, time.perf_counter() - start))
            if status != 200:
                seen.failures.append(f"{status} {answer[:200]!r}")
                continue
            judge(json.loads(answer), body, seen)


def judge(answer: dict[str, Any], body: Body, seen: Seen) -> None:
    """Compare a response with the offline predictions of the version that it names."""
    version = answer["model"]["version"]
    seen.last_version = version
    seen.versions[version] = seen.versions.get(version, 0) + 1
    wanted = body.answers[version]
    same = answer["predictions"] == wanted["predictions"] and all(
        given.keys() == right.keys() and all(math.isclose(given[name], right[name], rel_tol=1e-9) for name in right)
        for given, right in zip(answer["probabilities"], wanted["probabilities"], strict=True)
    )
    if not same:
        seen.wrong.append(f"version {version}: {answer}")


async def move(registered: Registered, seen: Seen) -> list[tuple[float, float, float]]:
    """Promote and roll back, one after the other; return when each change was requested, seen first and over."""
    swaps = []
    every = PROMOTIONS // ROLLBACKS
    champion = 0
    for number in range(PROMOTIONS):
        champion = (champion + 1) % VERSIONS
        record = registered.versions[champion]
        swaps.append(await taken(asyncio.to_thread(registered.registry.promote, record), record.version, seen))
        if (number + 1) % every == 0:
            back = registered.versions[(champion - 1) % VERSIONS].version
            swaps.append(await taken(asyncio.to_thread(registered.registry.rollback, NAME), back, seen))
            champion = (champion - 1) % VERSIONS
    return swaps


async def taken(change: Any, version: str, seen: Seen) -> tuple[float, float, float]:
    """Change the champion; return when the change started, was first seen, and stops counting."""
    start = time.perf_counter()
    await change
    async with asyncio.timeout(120):
        while seen.last_version != version:
            await asyncio.sleep(0.005)
    shown = time.perf_counter()
    await asyncio.sleep(2 * AFTER_S)
    return start, shown, shown + AFTER_S


async def measure(registered: Registered, url: str, connections: int) -> tuple[Seen, list[tuple[float, float, float]]]:
    """Promote and roll back under load; return what callers saw, and the swaps."""
    seen, stop = Seen(), asyncio.Event()
    bodies = make_bodies(registered)
    callers = [asyncio.create_task(call(url, bodies, seen, stop, first)) for first in range(connections)]
    await asyncio.sleep(1)
    try:
        swaps = await move(registered, seen)
    finally:
        stop.set()
        await asyncio.gather(*callers)
    return seen, swaps


def percentiles(seconds: Sequence[float]) -> str:
    """Describe latencies in seconds by their percentiles."""
    if len(seconds) < 2:
        return "none"
    cuts = statistics.quantiles(seconds, n=1000, method="inclusive")
    p50, p99, p999 = (cuts[place - 1] * 1000 for place in (500, 990, 999))
    longest = max(seconds) * 1000
    return (
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms, maximum {longest:.1f} ms ({len(seconds)} requests)"
    )


def main() -> int:
    """Print the figures; return 1 if a request failed or a prediction was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=32)
    connections = parser.parse_args().connections
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        registered = register_versions(folder, VERSIONS)
        with serving(registered, folder, "--poll", "0.2") as (url, _):
            seen, swaps = asyncio.run(measure(registered, url, connections))
    around = [
        seconds
        for start, seconds in seen.latencies
        if any(begin <= start + seconds and start <= end for begin, _, end in swaps)
    ]
    between = [
        seconds
        for start, seconds in seen.latencies
        if all(start + seconds < begin or start > end for begin, _, end in swaps)
    ]
    print(f"{PROMOTIONS} promotions and {ROLLBACKS} rollbacks, {connections} connections, {seen.requests} requests")
    print(
        f"failed: {len(seen.failures)}; wrong predictions: {len(seen.wrong)}; requests by version: "
        f"{dict(sorted(seen.versions.items()))}"
    )
    print(
        "from promotion to the first response of the new version: median "
        f"{statistics.median(shown - begin for begin, shown, _ in swaps):.2f} s"
    )
    print(f"around swaps:  {percentiles(around)}")
    print(f"between swaps: {percentiles(between)}")
    for line in [*seen.failures[:5], *seen.wrong[:5]]:
        print(line)
    return 1 if seen.failures or seen.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
