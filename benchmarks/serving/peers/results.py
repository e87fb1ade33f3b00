"""What a run found out, as it is kept in a JSON file. Taking it is left to `measuring`, showing it to `report` and `plot`."""

from collections.abc import Iterable
from pathlib import Path
from statistics import median

import msgspec

OURS = "ours"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one load on one server showed; medians where there were several rounds."""

    rows: int
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of all of the server's processes, per answered request."""
    failed: int = 0
    """Requests that were not answered with 200."""
    unlogged: float = 0.0
    """Share of the answered rows that our request log dropped."""

    @property
    def name(self) -> str:
        """Rows x connections."""
        return f"{self.rows}x{self.connections}"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One server with one model."""

    server: str
    model: str
    start_s: float = 0.0
    """From the command to the first right answer."""
    memory_mib: float = 0.0
    """PSS of all processes after the first answer."""
    memory_after_mib: float = 0.0
    """The same after the loads."""
    compared: int = 0
    wrong: int = 0
    example: str = ""
    loads: tuple[Load, ...] = ()
    trouble: str = ""
    """Why there is nothing to show."""

    def load(self, name: str) -> Load | None:
        """The load of this name."""
        return next((load for load in self.loads if load.name == name), None)


class About(msgspec.Struct, frozen=True, kw_only=True):
    """A server in words."""

    name: str
    title: str
    distribution: str
    page: str
    configured: str
    versions: dict[str, str] = {}


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """Two workers against one, both cores free for server and load alike."""

    model: str
    rows: int
    connections: int
    one_per_second: float
    two_per_second: float
    one_cpu_us: float
    two_cpu_us: float
    load_share: float
    """CPU that the load generator took of both cores while two workers answered."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    date: str
    machine: str
    python: str
    load: str
    """The load generator."""
    seconds: float
    rounds: int
    busy: float
    """Load average of the last minute before the run: 0 is an idle machine."""
    pinned: bool
    """The server on one core and the load on another."""
    servers: tuple[About, ...]
    measured: tuple[Measured, ...]
    scaling: tuple[Scaling, ...] = ()

    def of(self, server: str, model: str) -> Measured | None:
        """What was measured of a server with a model."""
        return next((entry for entry in self.measured if (entry.server, entry.model) == (server, model)), None)


def combine(rounds: Iterable[Measured]) -> Measured:
    """Several rounds of one server with one model as one: medians, and the sum of what was checked; a round in trouble is the answer."""
    every = list(rounds)
    if bad := next((entry for entry in every if entry.trouble), None):
        return bad
    loads = []
    for same in zip(*(entry.loads for entry in every), strict=True):
        middle = {name: median(getattr(load, name) for load in same) for name in ("per_second", "p50_ms", "p99_ms", "cpu_us")}
        failed, unlogged = sum(load.failed for load in same), median(load.unlogged for load in same)
        loads.append(Load(rows=same[0].rows, connections=same[0].connections, failed=failed, unlogged=unlogged, **middle))
    middle = {name: median(getattr(entry, name) for entry in every) for name in ("start_s", "memory_mib", "memory_after_mib")}
    return Measured(
        server=every[0].server,
        model=every[0].model,
        compared=sum(entry.compared for entry in every),
        wrong=sum(entry.wrong for entry in every),
        example=next((entry.example for entry in every if entry.example), ""),
        loads=tuple(loads),
        **middle,
    )


def save(run: Run, file: Path) -> None:
    """Write a run as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


def read(file: Path) -> Run:
    """Read a run that `save` wrote."""
    return msgspec.json.decode(file.read_bytes(), type=Run)
