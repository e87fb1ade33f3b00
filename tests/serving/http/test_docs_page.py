"""Run every command of docs/serving.md in a generated project, in the page's order.

Servers are started, and requests are sent, as the page says.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import REPOSITORY, copy_of, free_port

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "serving.md"
ELSEWHERE = ("make image", "docker run")
"""Run by tests/operations, with a real builder."""


def blocks() -> list[tuple[str, str]]:
    """Language and text of the page's code blocks, in order."""
    return re.findall(r"```(sh|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


class Shell:
    """Run code blocks; a server that a line starts runs until the next one starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.metrics_port = folder, free_port(), free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._kept = folder / "kept.sh"
        self._kept.touch()
        # `mlp` and `python` of this environment, whatever is installed on the machine.
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }

    def run(self, kind: str, text: str) -> str:
        """Run a block and return its output."""
        text = text.replace("my-model", "sample-model").replace("127.0.0.1:9000", f"127.0.0.1:{self.metrics_port}")
        text = text.replace("--host 0.0.0.0", "--host 127.0.0.1").replace(
            "--metrics-port 9000", f"--metrics-port {self.metrics_port}"
        )
        if kind == "python":
            return self._call([sys.executable, "-c", re.sub(r"\b8000\b", str(self.port), text)])
        said, pending = "", ""
        for line in text.splitlines(keepends=True):
            if re.match(r"([A-Z_]+=\S+ )*mlp serve\b", line):
                said += self._bash(pending)
                pending = ""
                self._serve(line.strip())
            else:
                pending += line
        return said + self._bash(pending)

    def _bash(self, script: str) -> str:
        if not script.strip():
            return ""
        before, log_commands, after = script.partition("mlp log")
        if log_commands and before.strip():
            return self._bash(before) + self._bash(log_commands + after)
        if log_commands:  # rows are written to the folder after at most ten seconds
            self._wait(
                lambda: all(
                    any((self.folder / ".mlp/log" / kind).rglob("*.parquet")) for kind in ("predictions", "labels")
                ),
                script,
            )
        script = script.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace(
            "curl -s", "curl -sS --fail-with-body"
        )
        names = " ".join(re.findall(r"^([A-Z]+)=\$\(", script, flags=re.MULTILINE))
        keep = f"\ndeclare -p {names} >> {self._kept}" if names else ""
        return self._call(["bash", "-ec", f". {self._kept}\n{script}{keep}"])

    def _call(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"
        return done.stdout

    def _serve(self, line: str) -> None:
        self.stop()
        self.port, self._number = free_port(), self._number + 1
        log = self.folder / f"server-{self._number}.txt"
        with log.open("w") as output:
            self._server = subprocess.Popen(
                ["bash", "-ec", f"exec env {line} --port {self.port}"],
                cwd=self.folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait(self._is_ready, line, log)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _wait(self, condition: Callable[[], bool], what: str, log: Path | None = None) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            ended = self._server is not None and self._server.poll() is not None
            assert not ended and time.monotonic() < deadline, f"{what}\n{log.read_text() if log else ''}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the running server gracefully."""
        if self._server is not None:
            self._server.terminate()
            assert self._server.wait(60) == 0
            self._server = None


@pytest.fixture
def shell(trained: Project, tmp_path: Path) -> Iterator[Shell]:
    project = copy_of(trained, tmp_path / "project")
    (project.root / "customers.csv").write_bytes((project.root / "data" / "sample.csv").read_bytes())
    train(project, Settings(), ["model.params.C=0.5", "gate.delta=1.0"], promote=False)  # version 2, for the canary
    made = Shell(project.root)
    yield made
    made.stop()


@pytest.mark.skipif(os.name == "nt", reason="the page's commands are for a POSIX shell")
def test_every_command_of_the_page_works(shell: Shell) -> None:
    said = [shell.run(kind, text) for kind, text in blocks() if not text.startswith(ELSEWHERE)]
    everything = "\n".join(said)
    assert everything.count("Gentoo") >= 6  # /predict, /invocations, /v2, with a key, the log and the label
    assert "Adelie" in everything  # the clients of MLflow and Triton, on the table's first rows
    assert "checkout-service\tpredict,labels" in everything
    assert "mlp_requests_total" in everything
    assert '"request_id": "order-1"' in everything
    assert (shell.folder / "log.parquet").is_file()
    assert "version 2 was the canary and is now the champion" in everything
    assert (shell.folder / "predictions.parquet").is_file()
