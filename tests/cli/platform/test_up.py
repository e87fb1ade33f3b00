"""`mlp up` where it must refuse; `tests/local_platform/test_platform.py` tests that it starts."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from platform_lib.local_platform.processes import marked
from platform_lib.local_platform.state import PlatformState
from platform_lib.settings import Project
from tests.conftest import free_port, run_mlp


def test_a_taken_port_is_reported_in_one_sentence_and_nothing_starts(project: Project) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        done = run_mlp(project, "up", "--auto-ports", "--mlflow-port", port, expect=3)
    assert done.stderr.startswith(f"error: port {port}, needed for mlflow, is in use by ")
    assert f"process {os.getpid()}" in done.stderr
    assert "--mlflow-port PORT" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (project.state_dir / "platform.json").exists()


def test_a_second_concurrent_up_is_refused(project: Project) -> None:
    with PlatformState(project.root).locked():
        done = run_mlp(project, "up", "--auto-ports", expect=2)
    assert done.stderr.startswith("error: another `mlp up` or `mlp down` of this project is running.")


@pytest.mark.slow
def test_a_service_that_cannot_start_is_reported_with_its_last_output(project: Project) -> None:
    project.state_dir.mkdir()
    project.database.write_text("not a database")
    done = run_mlp(project, "up", "--auto-ports", expect=3)
    assert "mlflow ended with exit code" in done.stderr
    assert f"{project.database} is not an MLflow store" in done.stderr
    assert str(project.state_dir / "logs" / "mlflow.log") in done.stderr
    assert not (project.state_dir / "platform.json").exists()


def test_a_port_out_of_range_is_a_usage_error(project: Project) -> None:
    assert "70000" in run_mlp(project, "up", "--model-port", "70000", expect=2).stderr


def test_outside_a_project_it_says_so(tmp_path: Path) -> None:
    assert "is not inside a project" in run_mlp(tmp_path, "up", expect=2).stderr


@pytest.mark.parametrize("pid", [2**22 - 1, 1], ids=["gone", "a-stranger"])
def test_records_from_before_a_reboot_are_ignored(project: Project, pid: int) -> None:
    project.state_dir.mkdir()
    record = {
        "pid": pid,
        "create_time": 1.0,
        "url": "http://127.0.0.1:1",
        "port": free_port(),
        "health_url": "http://127.0.0.1:1/health",
    }
    record |= {"log": "mlflow.log", "command": ["python", "-m", "mlflow"], "fingerprint": "0"}
    (project.state_dir / "platform.json").write_text(
        json.dumps({"root": str(project.root), "services": {"mlflow": record}})
    )
    done = run_mlp(project, "status", "--json", expect=1)
    assert json.loads(done.stdout)["services"][0]["state"] == "dead"
    assert run_mlp(project, "down").stdout == "Nothing was running.\n"
    assert not (project.state_dir / "platform.json").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_start_leaves_nothing_running(project: Project, name: str) -> None:
    record = project.state_dir / "platform.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "platform_lib.cli", "up", "--auto-ports"],
        cwd=project.root,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not record.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.splitlines()[-1]) == (130, "error: stopped.")
    assert not record.exists()
    assert marked(project.root) == []
