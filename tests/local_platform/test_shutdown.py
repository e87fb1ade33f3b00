"""Shutdown stops everything that was started, in a safe order, and nothing else."""

import subprocess
import sys
from collections.abc import Iterable

import psutil

from platform_lib.local_platform import processes
from platform_lib.local_platform.ports import is_free
from platform_lib.local_platform.shutdown import take_down
from platform_lib.local_platform.startup import bring_up
from platform_lib.local_platform.state import PlatformState
from tests.local_platform.conftest import MakeService, is_running

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)
"""A program that ignores SIGTERM."""


def test_afterwards_nothing_runs_and_every_port_is_free(state: PlatformState, make_service: MakeService) -> None:
    services = [make_service("a", "parent"), make_service("b")]
    bring_up(state, services)
    running = [process.pid for process in processes.marked(state.root)]
    assert len(running) == 3
    assert take_down(state) == ["a", "b"]
    assert [is_running(pid) for pid in running] == [False, False, False]
    assert all(is_free(service.port) for service in services)
    assert not state.file.exists()


def test_logs_are_kept(state: PlatformState, make_service: MakeService) -> None:
    bring_up(state, [make_service("a")])
    take_down(state)
    assert (state.logs / "a.log").read_text().startswith("hello from fine")


def test_stopping_nothing_succeeds(state: PlatformState) -> None:
    assert take_down(state) == []


def test_services_whose_record_was_lost_are_stopped_too(state: PlatformState, make_service: MakeService) -> None:
    record = bring_up(state, [make_service("a")]).records["a"]
    state.file.unlink()
    take_down(state)
    assert not is_running(record.pid)


def test_clients_are_stopped_before_their_servers(state: PlatformState, make_service: MakeService) -> None:
    order: list[str] = []
    records = bring_up(state, [make_service("server"), make_service("client", clients_of=("server",))]).records
    original = processes.stop

    def noting(stopped: Iterable[psutil.Process], **options: float) -> None:
        found = list(stopped)
        order.extend(name for process in found for name, record in records.items() if record.pid == process.pid)
        original(found, **options)

    processes.stop = noting  # type: ignore[assignment]
    try:
        take_down(state)
    finally:
        processes.stop = original
    assert order == ["client", "server"]


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    program = STUBBORN
    stubborn = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    processes.stop([psutil.Process(stubborn.pid)], grace_s=0.2)
    stubborn.stdout.close()
    assert stubborn.wait(timeout=10) != 0


def test_a_child_that_ignores_sigterm_does_not_outlive_its_parent() -> None:
    spawn = f"subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])"
    program = f"import subprocess, sys, time; print({spawn}.pid, flush=True); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    printed = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
    child = int((printed - {"ready"}).pop())
    processes.stop([psutil.Process(parent.pid)], child_grace_s=0.2)
    parent.stdout.close()
    parent.wait(timeout=10)
    assert not is_running(child)
