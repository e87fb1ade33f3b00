"""Start, change, finish and abort canaries under load.

No request may fail, and each response must be that of the version that it names.

    python -m benchmarks.serving.canary         # 10 canaries under 32 connections
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.serving.registered import NAME, Registered, register_versions, serving
from benchmarks.serving.swaps import AFTER_S, VERSIONS, Seen, call, make_bodies, percentiles
from platform_lib.registry import roles

CANARIES, SETTLED_S = 10, 1.0


async def try_one(
    registered: Registered, seen: Seen, number: int, switches: list[tuple[float, float]], shares: list[float]
) -> None:
    """Run one canary: 10 %, 50 %, then promote or abort it."""
    champion = registered.registry.champion(NAME)
    assert champion is not None
    other = registered.versions[(int(champion.version) + number % 2) % VERSIONS]

    async def switch(change: Callable[[], Any], seen_it: Callable[[], bool]) -> None:
        begun = time.perf_counter()
        await asyncio.to_thread(change)
        async with asyncio.timeout(120):
            while not seen_it():
                await asyncio.sleep(0.005)
        switches.append((begun, time.perf_counter() + AFTER_S))
        await asyncio.sleep(2 * AFTER_S)

    def answered() -> int:
        return seen.versions.get(other.version, 0)

    for percent in (10, 50):
        before = answered()
        await switch(
            lambda percent=percent: roles.start_canary(registered.registry, other, percent),  # type: ignore[misc]
            lambda before=before: answered() > before,  # type: ignore[misc]
        )
        first, requests = answered(), seen.requests
        await asyncio.sleep(SETTLED_S)
        shares.append((answered() - first) / (seen.requests - requests) - percent / 100)
    if number % 3 == 2:
        await switch(lambda: roles.end_canary(registered.registry, NAME), lambda: True)
    else:
        await switch(lambda: roles.finish_canary(registered.registry, NAME), lambda: seen.last_version == other.version)
    await asyncio.sleep(SETTLED_S)  # until all workers have seen the change


async def measure(
    registered: Registered, url: str, connections: int, canaries: int
) -> tuple[Seen, list[tuple[float, float]], list[float]]:
    """Run the canaries under load; return what callers saw, the switches and the errors of the shares."""
    seen, stop = Seen(), asyncio.Event()
    bodies = make_bodies(registered)
    callers = [asyncio.create_task(call(url, bodies, seen, stop, first)) for first in range(connections)]
    switches: list[tuple[float, float]] = []
    shares: list[float] = []
    await asyncio.sleep(1)
    try:
        for number in range(canaries):
            await try_one(registered, seen, number, switches, shares)
    finally:
        stop.set()
        await asyncio.gather(*callers)
    return seen, switches, shares


def main() -> int:
    """Print the figures; return 1 if a request failed or a prediction was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--canaries", type=int, default=CANARIES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        registered = register_versions(folder, VERSIONS)
        with serving(registered, folder, "--poll", "0.2", "--log", str(folder / "log")) as (url, _):
            seen, switches, shares = asyncio.run(measure(registered, url, given.connections, given.canaries))
    around = [
        seconds
        for start, seconds in seen.latencies
        if any(begin <= start + seconds and start <= end for begin, end in switches)
    ]
    between = [
        seconds
        for start, seconds in seen.latencies
        if all(start + seconds < begin or start > end for begin, end in switches)
    ]
    print(
        f"{given.canaries} canaries, {len(switches)} switches, {given.connections} connections, {seen.requests} "
        "requests"
    )
    print(
        f"failed: {len(seen.failures)}; wrong predictions: {len(seen.wrong)}; requests by version: "
        f"{dict(sorted(seen.versions.items()))}"
    )
    print(f"the canary's share differs from the requested one by at most {max(map(abs, shares)):.1%}")
    print(f"around switches:  {percentiles(around)}")
    print(f"between switches: {percentiles(between)}")
    for line in [*seen.failures[:5], *seen.wrong[:5]]:
        print(line)
    return 1 if seen.failures or seen.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
