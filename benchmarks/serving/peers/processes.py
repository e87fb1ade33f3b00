"""Start a server on one core and a free port, measure all its processes, and stop them by their ids."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import joblib
import psutil

from benchmarks.serving.models import BenchmarkModel
from benchmarks.serving.peers.peer import Columns, Peer, Stage

APPS = Path(__file__).parent / "apps"
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "LITSERVE_DISABLE_TELEMETRY": "1",
}


class Failed(Exception):
    """A server ended, or did not predict correctly; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process: psutil.Process
    begun: float
    """When the command was started, by `time.perf_counter`."""
    said: Callable[[], str]
    """Returns the last line that it printed."""


@contextmanager
def started(peer: Peer, model: BenchmarkModel, programs: Path, *, core: int | None) -> Iterator[Server]:
    """Start a server, and stop all its processes after the block.

    Raises:
        Failed: It cannot be prepared.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        shutil.copytree(APPS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        columns = Columns.of(model)
        joblib.dump(model.pipeline, folder / "model.joblib")
        (folder / "columns.json").write_text(columns.as_json(), encoding="utf-8")
        port = free_port()
        start = peer.start(Stage(folder, programs, port, model.name, columns))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        environment |= {**QUIET, "PATH": f"{programs}{os.pathsep}{environment.get('PATH', '')}", **start.environment}
        said = folder / "output.txt"
        begun = time.perf_counter()
        with said.open("wb") as output:
            process = subprocess.Popen(
                start.command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        watched = psutil.Process(process.pid)
        try:
            if core is not None:
                watched.cpu_affinity([core])  # before it can have children, which inherit it
            yield Server(f"http://127.0.0.1:{port}{start.path}", watched, begun, lambda: _last_line(said))
        finally:
            end(watched)
            process.wait(10)


def free_port() -> int:
    """Find a port that no process listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and its running descendants."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of all processes of a server so far, including those that have ended."""
    total = 0.0
    for member in family(process):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mib(process: psutil.Process) -> float:
    """Proportional memory (PSS) of all processes of a server together, in MiB."""
    total = 0
    for member in family(process):
        try:
            total += member.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def end(process: psutil.Process, *, patience_s: float = 20) -> None:
    """Terminate the first process, and kill what is left of its family after `patience_s`."""
    members = family(process)
    try:
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs(members, timeout=patience_s)
    for member in left:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=10)


def _last_line(output: Path) -> str:
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"
