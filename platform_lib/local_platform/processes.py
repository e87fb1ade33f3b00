"""Start, recognise and stop processes, on every system alike. Which ones, and when, is for `starting` and `stopping`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from platform_lib.errors import ServiceError
from platform_lib.local_platform.state import Record
from platform_lib.names import Env
from platform_lib.process_identity import still_runs

GRACE_S = 20.0
_POLL_S = 0.05


def spawn(command: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one and its terminal; its output goes to `log`, an earlier log is kept as `<log>.1`."""
    if log.exists():
        # Windows keeps a file in place that some viewer has open; then the new lines follow the old ones.
        with suppress(OSError):
            log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as output:
        detached: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            detached = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
        try:
            return subprocess.Popen(
                command, env=dict(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **detached
            )
        except OSError as err:
            raise ServiceError(f"cannot start {' '.join(command)}: {err.strerror or err}.") from err


def create_time(pid: int) -> float:
    """When a process began, seconds since the epoch; 0 when it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def find(record: Record) -> psutil.Process | None:
    """The process of a record, None when it ended; a stranger that was given the same number since is not taken for it."""
    if not still_runs(record.pid, record.create_time, command=record.command):
        return None
    try:
        return psutil.Process(record.pid)
    except psutil.Error:
        return None


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that ended and that nobody has asked for its exit code (a zombie) does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process with all that it started, itself first."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def marked(root: Path) -> list[psutil.Process]:
    """Every running process that descends from the platform of the project in `root`, recorded or not."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(Env.PLATFORM_OF) == str(root) and is_alive(process):
                found.append(process)
    return found


def stop_leftovers(root: Path, records: Iterable[Record]) -> None:
    """End what a killed service left behind: it would hold ports and databases. What belongs to a living record goes on."""
    alive = [found for record in records if (found := find(record))]
    known = {member.pid for process in alive for member in tree(process)}
    stop(process for process in marked(root) if process.pid not in known)


def stop(processes: Iterable[psutil.Process], *, grace_s: float = GRACE_S, child_grace_s: float = 3.0) -> None:
    """Stop processes and all that they started: asked first, forced after `grace_s`; what outlives its parent after `child_grace_s`."""
    roots = list(processes)
    everyone = {member.pid: member for root in roots for member in tree(root)}
    _signal(roots, "terminate")
    _wait(roots, grace_s)
    _signal([root for root in roots if is_alive(root)], "kill")
    # What a service leaves behind when it ends by itself (workers, runs) has no one else to stop it.
    rest = [member for member in everyone.values() if is_alive(member)]
    _signal(rest, "terminate")
    _wait(rest, child_grace_s)
    _signal([member for member in rest if is_alive(member)], "kill")
    _wait(rest, 5.0)


def _signal(processes: Iterable[psutil.Process], how: str) -> None:
    for process in processes:
        with suppress(psutil.Error):
            getattr(process, how)()


def _wait(processes: Sequence[psutil.Process], timeout_s: float) -> None:
    # Not psutil.wait_procs: to it a zombie that nobody collects, as under a container's first process, never ends.
    deadline = time.monotonic() + timeout_s
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented; says so when it is empty."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    text = [line for line in lines if line.strip()][-count:]
    return "\n".join(f"    {line}" for line in text) or "    (it wrote nothing)"
