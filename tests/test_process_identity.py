"""Tell whether a recorded process still runs or its ID has been reused."""

import subprocess
import sys

import psutil
import pytest

from platform_lib.process_identity import still_runs

ME = psutil.Process()


@pytest.mark.parametrize(
    ("off_s", "command", "tolerance_s", "expected"),
    [
        (0.0, None, 0.02, True),
        (1.0, None, 0.02, False),
        (1.0, None, 2.0, True),
        (1.0, ["python", *ME.cmdline()[1:]], 0.02, True),
        (1.0, ["python", "other.py"], 0.02, False),
    ],
    ids=["same start", "other start", "within the tolerance", "clock jumped, same command", "other start and command"],
)
def test_the_start_time_decides_before_the_command(
    *, off_s: float, command: list[str] | None, tolerance_s: float, expected: bool
) -> None:
    assert still_runs(ME.pid, ME.create_time() + off_s, command=command, tolerance_s=tolerance_s) is expected


def test_a_process_that_has_ended_is_not_running() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = psutil.Process(child.pid).create_time()
        assert still_runs(child.pid, started)
    assert not still_runs(child.pid, started)
