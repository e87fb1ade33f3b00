"""Start, identify and stop processes on every operating system."""

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
    """Start a process that outlives this one and its terminal.

    Args:
        command: Program and arguments.
        env: All of its environment variables.
        folder: Its working directory.
        log: File for its output. An existing one is kept as `<log>.1`.
    Raises:
        ServiceError: The program cannot be started.
    """
    if log.exists():
        # Windows cannot rename a file that a viewer has open; then new lines are appended.
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
    """Return the start time of a process in seconds since the epoch; 0 if it has ended."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def find(record: Record) -> psutil.Process | None:
    """Return the process of a record; None if it has ended, even if another process has its id now."""
    if not still_runs(record.pid, record.create_time, command=record.command):
        return None
    try:
        return psutil.Process(record.pid)
    except psutil.Error:
        return None


def is_alive(process: psutil.Process) -> bool:
    """Whether a process is running; a zombie, which has ended but was not waited for, is not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def tree(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and its descendants, itself first."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def marked(root: Path) -> list[psutil.Process]:
    """List the running processes of the local platform in `root`, recorded or not."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(Env.PLATFORM_OF) == str(root) and is_alive(process):
                found.append(process)
    return found


def stop_leftovers(root: Path, records: Iterable[Record]) -> None:
    """Stop processes that a killed service left behind, which would block ports and databases."""
    alive = [found for record in records if (found := find(record))]
    known = {member.pid for process in alive for member in tree(process)}
    stop(process for process in marked(root) if process.pid not in known)


def stop(processes: Iterable[psutil.Process], *, grace_s: float = GRACE_S, child_grace_s: float = 3.0) -> None:
    """Stop processes and their descendants.

    Args:
        processes: The processes; terminated, and killed after `grace_s` seconds.
        grace_s: Seconds until processes are killed.
        child_grace_s: Seconds until descendants that outlive their parent are killed.
    """
    roots = list(processes)
    everyone = {member.pid: member for root in roots for member in tree(root)}
    _signal(roots, "terminate")
    _wait(roots, grace_s)
    _signal([root for root in roots if is_alive(root)], "kill")
    # Descendants such as workers and runs can outlive the service.
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
    # psutil.wait_procs would wait forever for a zombie that is never reaped, as under a container's first process.
    deadline = time.monotonic() + timeout_s
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def last_lines(log: Path, count: int = 15) -> str:
    """Return the last lines of a log file, indented."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    text = [line for line in lines if line.strip()][-count:]
    return "\n".join(f"    {line}" for line in text) or "    (the log is empty)"
