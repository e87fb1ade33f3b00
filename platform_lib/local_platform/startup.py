"""Start services together and wait until all are healthy; if one fails, stop those just started."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from platform_lib.errors import ServiceError
from platform_lib.local_platform import processes
from platform_lib.local_platform.health import answers, loopback_client
from platform_lib.local_platform.service import START_TIMEOUT_S, Service
from platform_lib.local_platform.state import PlatformState, Record
from platform_lib.names import Env

_POLL_S = 0.1
# Settings for other servers must not reach these services; each service's definition has its own settings.
_FOREIGN_SETTINGS = ("MLFLOW_", "PREFECT_")


def _silent(waiting_for: Sequence[str], seconds: float) -> None:
    del waiting_for, seconds


def _silent_up(name: str, seconds: float) -> None:
    del name, seconds


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks while services start."""

    waiting: Callable[[Sequence[str], float], None] = _silent
    """Called several times a second with the names of services not yet up and the seconds since the start."""
    up: Callable[[str, float], None] = _silent_up
    """Called when a service is up, with the seconds that it took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Result of `bring_up`: service names, in the order of their definitions."""

    records: Mapping[str, Record]
    kept: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    """Those of `started` that were recorded but had stopped."""
    changed: list[str] = field(default_factory=list)
    """Those of `started` that were running with another command, port or setting."""


def bring_up(
    state: PlatformState,
    services: Sequence[Service],
    *,
    progress: Progress | None = None,
    timeout_s: float = START_TIMEOUT_S,
) -> Outcome:
    """Start every service that is not running, and wait until all are healthy. The caller holds `state.locked()`.

    Args:
        state: The project's platform state.
        services: All services that should run.
        progress: Callbacks while services start.
        timeout_s: Seconds until a service that does not respond counts as failed.
    Raises:
        ServiceError: A service ended or did not respond. The services started by this call are stopped; others keep
            running.
    """
    progress = progress or Progress()
    records = state.load()
    alive = {name: found for name, record in records.items() if (found := processes.find(record))}
    kept = [s.name for s in services if s.name in alive and records[s.name].fingerprint == s.fingerprint]
    changed = [s.name for s in services if s.name in alive and s.name not in kept]
    processes.stop(alive[name] for name in changed)
    starting = [s for s in services if s.name not in kept]
    outcome = Outcome(
        records={name: records[name] for name in kept},
        kept=kept,
        started=[s.name for s in starting],
        revived=[s.name for s in starting if s.name in records and s.name not in alive],
        changed=changed,
    )
    reached = _start(state, starting, outcome, progress, timeout_s)
    in_order = {service.name: reached.records[service.name] for service in services}
    state.save(in_order)
    return replace(reached, records=in_order)


def _start(
    state: PlatformState, services: Sequence[Service], outcome: Outcome, progress: Progress, timeout_s: float
) -> Outcome:
    launch = _Launch(state, services, dict(outcome.records), progress)
    try:
        launch.run(timeout_s)
    except BaseException:
        with _deferred_signals():
            processes.stop(launch.handles())
            with suppress(ServiceError):
                state.save(dict(outcome.records))
        raise
    return replace(outcome, records=launch.records)


class _Launch:
    """The services that one `bring_up` starts."""

    def __init__(
        self, state: PlatformState, services: Sequence[Service], records: dict[str, Record], progress: Progress
    ) -> None:
        self.records = records
        self._state, self._progress, self._services = state, progress, services
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: dict[str, Future[bool]] = {}

    def run(self, timeout_s: float) -> None:
        start = time.monotonic()
        for service in self._services:
            with _deferred_signals(), self._state.writable():
                self._running[service.name], self.records[service.name] = _spawn(self._state, service)
                self._state.save(self.records)  # at once, so that it can be stopped even if this process ends
        awaited = list(self._running)
        # In parallel, so that one slow response does not delay the other checks.
        with loopback_client() as client, ThreadPoolExecutor(max(1, len(awaited))) as pool:
            while awaited:
                seconds = time.monotonic() - start
                self._progress.waiting(awaited, seconds)
                for name in awaited:
                    if name not in self._asked:
                        self._asked[name] = pool.submit(answers, client, self.records[name].health_url)
                time.sleep(_POLL_S)
                awaited = [name for name in awaited if not self._is_up(name, seconds, timeout_s)]

    def handles(self) -> list[psutil.Process]:
        found = []
        for process in self._running.values():
            with suppress(psutil.Error):
                found.append(psutil.Process(process.pid))
        return found

    def _is_up(self, name: str, seconds: float, timeout_s: float) -> bool:
        if (code := self._running[name].poll()) is not None:
            raise _failed(name, self.records[name], f"ended with exit code {code} while starting")
        if self._asked[name].done() and self._asked.pop(name).result():
            self._progress.up(name, seconds)
            return True
        if seconds > timeout_s:
            raise _failed(name, self.records[name], f"did not respond within {seconds:.0f} s")
        return False


def _spawn(state: PlatformState, service: Service) -> tuple[subprocess.Popen[bytes], Record]:
    log = state.logs / f"{service.name}.log"
    process = processes.spawn(service.command, env=environment(state, service), folder=state.root, log=log)
    record = Record(
        pid=process.pid,
        create_time=processes.create_time(process.pid),
        url=service.url,
        port=service.port,
        health_url=service.health_url,
        log=str(log),
        command=service.command,
        fingerprint=service.fingerprint,
        clients_of=service.clients_of,
    )
    return process, record


def environment(state: PlatformState, service: Service) -> dict[str, str]:
    """Return a service's environment: this process's, without settings for other servers, plus its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN_SETTINGS)}
    # Requests between the services must not go through a proxy.
    direct = ",".join(filter(None, [inherited.get("NO_PROXY") or inherited.get("no_proxy"), "127.0.0.1,localhost"]))
    plain = {
        "NO_PROXY": direct,
        "no_proxy": direct,
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "DO_NOT_TRACK": "1",
    }
    return inherited | plain | dict(service.env) | {Env.PLATFORM_OF: str(state.root)}


def _failed(name: str, record: Record, what: str) -> ServiceError:
    log = Path(record.log)
    return ServiceError(
        f"{name} {what}; the services started with it were stopped. "
        f"Its log {log} ends with:\n{processes.last_lines(log)}\nFix the problem, then run `mlp up` again."
    )


@contextmanager
def _deferred_signals() -> Iterator[None]:
    """Delay Ctrl-C and similar signals until the block ends.

    A signal between the start of a process and its record would leave it running, and a second signal must not
    interrupt the cleanup.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda given, frame: received.append(given)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
