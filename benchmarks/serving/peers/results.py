"""The results of a run, and their JSON file."""

from collections.abc import Iterable
from pathlib import Path
from statistics import median

import msgspec

OURS = "ours"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Results of one load on one server; medians if there were several rounds."""

    rows: int
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU of all processes of the server, per answered request."""
    failed: int = 0
    """Requests without a 200 response."""
    unlogged: float = 0.0
    """Share of the predicted rows that our request log dropped."""

    @property
    def name(self) -> str:
        """Return `ROWSxCONNECTIONS`."""
        return f"{self.rows}x{self.connections}"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Results of one server with one model."""

    server: str
    model: str
    start_s: float = 0.0
    """From the command to the first correct prediction."""
    memory_mib: float = 0.0
    """PSS of all processes after the first prediction."""
    memory_after_mib: float = 0.0
    """The same after the loads."""
    compared: int = 0
    wrong: int = 0
    example: str = ""
    loads: tuple[Load, ...] = ()
    trouble: str = ""
    """Why the server could not be measured; empty if it was."""

    def load(self, name: str) -> Load | None:
        """Find the load with this name."""
        return next((load for load in self.loads if load.name == name), None)


class About(msgspec.Struct, frozen=True, kw_only=True):
    """A server's name, version and configuration."""

    name: str
    title: str
    distribution: str
    page: str
    configured: str
    versions: dict[str, str] = {}


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """Two workers compared with one, with server and load generator on both cores."""

    model: str
    rows: int
    connections: int
    one_per_second: float
    two_per_second: float
    one_cpu_us: float
    two_cpu_us: float
    load_share: float
    """Share of both cores that the load generator used with two workers."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """All results of one run of the benchmark."""

    date: str
    machine: str
    python: str
    load: str
    """The load generator."""
    seconds: float
    rounds: int
    busy: float
    """Load average of the last minute before the run; 0 is an idle machine."""
    pinned: bool
    """Whether the server ran on one core and the load generator on another."""
    servers: tuple[About, ...]
    measured: tuple[Measured, ...]
    scaling: tuple[Scaling, ...] = ()

    def of(self, server: str, model: str) -> Measured | None:
        """Find the results of a server with a model."""
        return next((entry for entry in self.measured if (entry.server, entry.model) == (server, model)), None)


def combine(rounds: Iterable[Measured]) -> Measured:
    """Combine the rounds of one server and model: medians, and sums of checks. A failed round becomes the result."""
    every = list(rounds)
    if bad := next((entry for entry in every if entry.trouble), None):
        return bad
    loads = []
    for same in zip(*(entry.loads for entry in every), strict=True):
        middle = {
            name: median(getattr(load, name) for load in same) for name in ("per_second", "p50_ms", "p99_ms", "cpu_us")
        }
        failed, unlogged = sum(load.failed for load in same), median(load.unlogged for load in same)
        loads.append(
            Load(rows=same[0].rows, connections=same[0].connections, failed=failed, unlogged=unlogged, **middle)
        )
    middle = {
        name: median(getattr(entry, name) for entry in every) for name in ("start_s", "memory_mib", "memory_after_mib")
    }
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
    """Write a run to a JSON file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


def read(file: Path) -> Run:
    """Read a run that `save` has written."""
    return msgspec.json.decode(file.read_bytes(), type=Run)
