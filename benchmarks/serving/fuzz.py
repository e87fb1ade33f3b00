"""Send broken bodies to every protocol and check for 500s, hangs and memory growth.

python -m benchmarks.serving.fuzz           # 10,000 bodies per protocol
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.connection import Connection
from benchmarks.serving.registered import CONTRACT, NAME, register_versions, rows, serving

CONNECTIONS = 4
HANG_S = 30.0
GROWTH_MIB = 16.0
"""More growth than this between the first and the last round is a leak; the allocator's own variation is smaller."""
_DATATYPES = {"string": "BYTES", "datetime": "BYTES", "boolean": "BOOL", "integer": "INT64", "number": "FP64"}

Request = tuple[bytes, dict[str, str]]


@dataclass(slots=True)
class Outcome:
    """Results of one protocol's bodies."""

    statuses: Counter[int] = field(default_factory=Counter)
    hangs: int = 0
    broken: int = 0
    """Connections that ended without a response."""
    bad: list[str] = field(default_factory=list)


def odd_value(dice: random.Random, depth: int = 0) -> Any:
    """Return a random JSON value that a caller might send by mistake."""
    simple: list[Any] = [
        None,
        True,
        False,
        0,
        -1,
        2**63,
        -(2**70),
        10**400,
        1e308,
        float("nan"),
        float("inf"),
        0.5,
        "",
        "Bern",
        "12",
        "2026-11-25",
    ]
    simple += [
        "\ud800",
        "\x00",
        "ü" * 100,
        "9" * 5000,
        [],
        {},
        "2026-02-30T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "true",
    ]
    if depth > 3 or dice.random() < 0.7:
        return dice.choice(simple)
    if dice.random() < 0.5:
        return [odd_value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {
        dice.choice(["a", "rows", "number_1", "", "__proto__"]): odd_value(dice, depth + 1)
        for _ in range(dice.randrange(4))
    }


def spoil(value: Any, dice: random.Random) -> Any:
    """Replace, remove or duplicate something somewhere in a valid body."""
    if dice.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return odd_value(dice)
    if isinstance(value, dict):
        name = dice.choice(list(value))
        what = dice.random()
        if what < 0.1:
            return {key: item for key, item in value.items() if key != name}
        if what < 0.2:
            return {**value, dice.choice(["x", "target", "label", "parameters", name.upper()]): odd_value(dice)}
        return {**value, name: spoil(value[name], dice)}
    place = dice.randrange(len(value))
    if dice.random() < 0.1:
        return value[:place] + value[place + 1 :]
    if dice.random() < 0.1:
        return value * dice.randrange(2, 4)
    return [*value[:place], spoil(value[place], dice), *value[place + 1 :]]


def spoil_bytes(body: bytes, dice: random.Random) -> bytes:
    """Cut, flip or repeat bytes, so that the body is no longer the same JSON, or no JSON at all."""
    what = dice.randrange(5)
    if what == 0:
        return body[: dice.randrange(len(body) + 1)]
    if what == 1:
        return b"[" * dice.randrange(1, 5000) + body
    if what == 2:
        place = dice.randrange(len(body))
        return body[:place] + bytes([dice.randrange(256)]) + body[place + 1 :]
    if what == 3:
        return dice.randbytes(dice.randrange(200))
    place = dice.randrange(len(body))
    return body[:place] + body[place : place + 40] * dice.randrange(2, 20) + body[place:]


def fuzzed(valid: Any, dice: random.Random) -> bytes:
    """Break a valid body in one to three places."""
    body = valid
    for _ in range(dice.randrange(1, 4)):
        body = spoil(body, dice)
    text = json.dumps(body).encode()
    return spoil_bytes(text, dice) if text and dice.random() < 0.3 else text


def own(dice: random.Random) -> Request:
    """Make a broken body of `/predict`."""
    return fuzzed({"rows": rows(dice.randrange(1, 4), dice.randrange(10**6))}, dice), {}


def invocations(dice: random.Random) -> Request:
    """Make a broken body of `/invocations`."""
    some = rows(dice.randrange(1, 4), dice.randrange(10**6))
    columns = {name: [row[name] for row in some] for name in CONTRACT.features}
    forms: list[Any] = [
        {"dataframe_split": {"columns": list(some[0]), "data": [list(row.values()) for row in some]}},
        {"dataframe_records": some},
        {"instances": some},
        {"inputs": columns},
    ]
    return fuzzed(dice.choice(forms), dice), {}


def open_inference(dice: random.Random) -> Request:
    """Make a broken body of `/v2`, JSON or binary."""
    some = rows(dice.randrange(1, 4), dice.randrange(10**6))
    inputs: list[dict[str, Any]] = [
        {
            "name": name,
            "shape": [len(some)],
            "datatype": _DATATYPES[CONTRACT.columns[name].type],
            "data": [row[name] for row in some],
        }
        for name in CONTRACT.features
    ]
    if dice.random() < 0.6:
        return fuzzed({"id": "f", "inputs": inputs}, dice), {}
    raw = dice.randbytes(8 * len(some) + dice.choice([0, 0, 1, -1]))
    inputs[1] = {
        "name": "number_1",
        "shape": [len(some)],
        "datatype": "FP64",
        "parameters": {"binary_data_size": len(raw) + dice.choice([0, 0, 3, -9])},
    }
    head = fuzzed({"inputs": inputs}, dice) if dice.random() < 0.5 else json.dumps({"inputs": inputs}).encode()
    length = dice.choice([str(len(head)), str(len(head)), str(len(head) + 5), "-1", "x", str(10**12), "0"])
    return head + raw, {"Inference-Header-Content-Length": length, "Content-Type": "application/octet-stream"}


PROTOCOLS: dict[str, tuple[str, Callable[[random.Random], Request]]] = {
    "rows": ("/predict", own),
    "mlflow": ("/invocations", invocations),
    "v2": (f"/v2/models/{NAME}/infer", open_inference),
}


async def send(
    url: str, path: str, make: Callable[[random.Random], Request], count: int, seed: int, outcome: Outcome
) -> None:
    """Send `count` broken bodies on one connection and record the results."""
    dice = random.Random(seed)
    async with Connection(url, HANG_S) as connection:
        for _ in range(count):
            body, headers = make(dice)
            try:
                status, answer = await connection.post(path, body, headers)
            except TimeoutError:
                outcome.hangs += 1
                outcome.bad.append(f"no response within {HANG_S:g} s to {body[:200]!r}")
                connection.close()
                continue
            except (OSError, asyncio.IncompleteReadError) as err:
                outcome.broken += 1
                outcome.bad.append(f"{err!r} to {body[:200]!r}")
                connection.close()
                continue
            outcome.statuses[status] += 1
            if status >= 500:
                outcome.bad.append(f"{status} {answer[:300]!r} to {body[:2000]!r}")


async def attack(url: str, protocol: str, count: int, seed: int) -> Outcome:
    """Send `count` broken bodies to one protocol, on several connections."""
    path, make = PROTOCOLS[protocol]
    outcome = Outcome()
    share = count // CONNECTIONS
    await asyncio.gather(*(send(url, path, make, share, seed * 100 + place, outcome) for place in range(CONNECTIONS)))
    return outcome


def main() -> int:
    """Print the figures; return 1 after a 500, a hang or memory growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=10_000, help="per protocol")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    is_sound = True
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        registered = register_versions(folder, 1)
        with serving(registered, folder, "--poll", "5", "--metrics-port", "0") as (url, process):
            memory = psutil.Process(process.pid).memory_info
            for protocol in PROTOCOLS:  # what is allocated only once must not count as growth
                asyncio.run(attack(url, protocol, options.bodies // 5, options.seed + 1))
            before = memory().rss / 2**20
            for protocol in PROTOCOLS:
                outcome = asyncio.run(attack(url, protocol, options.bodies, options.seed + 2))
                print(
                    f"{protocol}: {sum(outcome.statuses.values())} responses "
                    f"{dict(sorted(outcome.statuses.items()))}, hangs {outcome.hangs}"
                )
                for line in outcome.bad[:5]:
                    print(f"  {line}")
                is_sound = is_sound and not outcome.bad
            after = memory().rss / 2**20
            print(f"server memory (RSS): {before:.1f} MiB before, {after:.1f} MiB after")
    return 0 if is_sound and after - before < GROWTH_MIB else 1


if __name__ == "__main__":
    raise SystemExit(main())
