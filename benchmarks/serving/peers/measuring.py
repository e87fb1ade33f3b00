"""Start one server with one model, check its predictions, run the loads, and measure what it uses."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

from benchmarks.serving.load import closed_loop
from benchmarks.serving.models import BenchmarkModel
from benchmarks.serving.own import dropped_rows, serving
from benchmarks.serving.peers import processes
from benchmarks.serving.peers.adapters import mlserver
from benchmarks.serving.peers.checking import check, expected
from benchmarks.serving.peers.peer import Columns, Peer, Row
from benchmarks.serving.peers.results import OURS, Load, Measured

LONGEST_START_S = 120.0
FIRST_ROWS = 20
MANY_ROWS = 100
LOADS = ((1, 1), (1, 64), (100, 4), (1000, 4))
"""Rows of a request, connections."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Duration of each load, and the cores of server and load generator (None: any core)."""

    seconds: float
    server_core: int | None
    load_core: int | None


@dataclass(frozen=True, slots=True)
class Target:
    """A server that has returned its first correct prediction."""

    url: str
    headers: dict[str, str]
    process: psutil.Process
    start_s: float
    body: Callable[[Sequence[Row]], bytes]
    answers: Callable[[Any], list[Any]]
    dropped_rows: Callable[[], float] = lambda: 0.0
    """Rows that a request log has dropped so far."""
    many: "Target | None" = None
    """The same server with another form of request, for `MANY_ROWS` or more; None if it uses one form for all."""

    def ask(self, client: httpx.Client, rows: Sequence[Row]) -> list[Any]:
        """Request predictions for rows.

        Raises:
            httpx.HTTPStatusError: The server answered with an error.
        """
        answer = client.post(
            self.url, content=self.body(rows), headers=self.headers | {"Content-Type": "application/json"}
        )
        answer.raise_for_status()
        return self.answers(answer.json())


@contextmanager
def peer_target(peer: Peer, model: BenchmarkModel, programs: Path, *, core: int | None) -> Iterator[Target]:
    """Start a peer and wait for its first correct prediction.

    Raises:
        Failed: It ended, or returned no correct prediction in time.
    """
    columns = Columns.of(model)
    with processes.started(peer, model, programs, core=core) as server:
        target = Target(
            server.url,
            {},
            server.process,
            0.0,
            lambda rows: json.dumps(peer.body(columns, rows), separators=(",", ":")).encode(),
            peer.answers,
        )
        _wait_for_right_answer(target, model, server)
        yield replace(target, start_s=time.perf_counter() - server.begun)


@contextmanager
def our_target(model: BenchmarkModel, programs: Path | None, *arguments: str, core: int | None) -> Iterator[Target]:
    """Start our server with everything on, and wait for its first prediction."""
    python = programs / "python" if programs else None
    with TemporaryDirectory() as folder, serving(model, Path(folder), *arguments, core=core, python=python) as running:
        tensors = f"{running.url.removesuffix('/predict')}/v2/models/{model.name}/infer"
        named = Target(
            running.url,
            running.headers,
            running.process,
            running.start_s,
            _rows_body,
            _predictions,
            lambda: dropped_rows(running),
        )
        yield replace(
            named,
            many=replace(
                named, url=tensors, body=partial(_tensors_body, Columns.of(model)), answers=mlserver.PEER.answers
            ),
        )


def _rows_body(rows: Sequence[Row]) -> bytes:
    return json.dumps({"rows": list(rows)}, separators=(",", ":")).encode()


def _tensors_body(columns: Columns, rows: Sequence[Row]) -> bytes:
    """Make the request that MLServer receives too (Open Inference Protocol); both return only predictions."""
    return json.dumps(
        {**mlserver.body(columns, rows), "outputs": [{"name": "prediction"}]}, separators=(",", ":")
    ).encode()


def _predictions(answer: Any) -> list[Any]:
    return list(answer["predictions"])


def _wait_for_right_answer(target: Target, model: BenchmarkModel, server: processes.Server) -> None:
    rows = model.rows[:FIRST_ROWS]
    truth = [str(value) for value in expected(model, rows)]
    deadline, last = time.monotonic() + LONGEST_START_S, "no connection"
    with httpx.Client(timeout=LONGEST_START_S) as client:
        while time.monotonic() < deadline:
            if not server.process.is_running() or server.process.status() == psutil.STATUS_ZOMBIE:
                raise processes.Failed(f"it ended before it answered: {server.said()}")
            try:
                answers = [str(value) for value in target.ask(client, rows)]
                if answers == truth:
                    return
                raise processes.Failed(f"its first prediction is {answers}, the pipeline's is {truth}")
            except httpx.HTTPStatusError as err:
                last = f"{err.response.status_code} {err.response.text[:200]}"
            except httpx.HTTPError as err:
                last = type(err).__name__
            except (KeyError, IndexError, TypeError, ValueError) as err:
                raise processes.Failed(f"its response cannot be read: {type(err).__name__}: {err}") from err
            time.sleep(0.02)
    raise processes.Failed(f"no correct prediction within {LONGEST_START_S:.0f} s, last {last}; {server.said()}")


def measure_peer(peer: Peer, model: BenchmarkModel, programs: Path, plan: Plan) -> Measured:
    """Measure one round of a peer; the result reports what went wrong."""
    try:
        with peer_target(peer, model, programs, core=plan.server_core) as target:
            return _measure(peer.name, target, model, plan)
    except (processes.Failed, RuntimeError, psutil.NoSuchProcess) as err:
        return Measured(server=peer.name, model=model.name, trouble=" ".join(str(err).split())[:400])


def measure_ours(model: BenchmarkModel, programs: Path | None, plan: Plan) -> Measured:
    """Measure one round of our server."""
    try:
        with our_target(model, programs, core=plan.server_core) as target:
            _wait_for_log_writer(target.process)
            return _measure(OURS, target, model, plan)
    except (AssertionError, RuntimeError, psutil.NoSuchProcess) as err:
        return Measured(server=OURS, model=model.name, trouble=" ".join(str(err).split())[:400])


def _wait_for_log_writer(process: psutil.Process) -> None:
    """Wait until the log writer, which the first prediction starts, has imported its modules: its memory counts too."""
    deadline, last = time.monotonic() + 30, 0.0
    while time.monotonic() < deadline:
        now = processes.memory_mib(process)
        if process.children() and abs(now - last) < 1:
            return
        last = now
        time.sleep(0.5)
    raise AssertionError("the log writer did not start within 30 seconds")


def _measure(name: str, target: Target, model: BenchmarkModel, plan: Plan) -> Measured:
    memory_mib = processes.memory_mib(target.process)
    checks = [check(each.ask, model) for each in (target, target.many) if each is not None]
    loads = [load_on(target, model, rows=rows, connections=connections, plan=plan) for rows, connections in LOADS]
    return Measured(
        server=name,
        model=model.name,
        start_s=target.start_s,
        memory_mib=memory_mib,
        memory_after_mib=processes.memory_mib(target.process),
        compared=sum(checked.compared for checked in checks),
        wrong=sum(checked.wrong for checked in checks),
        example=next((checked.example for checked in checks if checked.example), ""),
        loads=tuple(loads),
    )


def load_on(target: Target, model: BenchmarkModel, *, rows: int, connections: int, plan: Plan) -> Load:
    """Run one load, after a shorter warm-up that is not counted."""
    if rows >= MANY_ROWS and target.many is not None:
        target = target.many
    body = target.body((model.rows * (1 + rows // len(model.rows)))[:rows])
    closed_loop(
        target.url,
        body,
        target.headers,
        connections=connections,
        seconds=max(1.0, plan.seconds / 2),
        core=plan.load_core,
    )
    before, dropped = processes.cpu_s(target.process), target.dropped_rows()
    result = closed_loop(
        target.url, body, target.headers, connections=connections, seconds=plan.seconds, core=plan.load_core
    )
    used_s = processes.cpu_s(target.process) - before
    answered = result.statuses.get("200", 0)
    return Load(
        rows=rows,
        connections=connections,
        per_second=result.per_second,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        cpu_us=used_s / max(1, answered) * 1e6,
        failed=sum(result.statuses.values()) - answered,
        unlogged=min(1.0, (target.dropped_rows() - dropped) / max(1, answered * rows)),
    )
