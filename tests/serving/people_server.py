"""`mlp serve` as a real process with a small model and a registry double: no MLflow, so that it starts in seconds."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.own import registry
from tests.serving.sample_models import fitted, write_artifact
from tests.waiting import wait_until


@dataclass
class PeopleServer:
    """A server that is ready."""

    url: str
    metrics_url: str
    process: "subprocess.Popen[bytes]"
    output: Path

    def model(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{self.url}/model", timeout=60).json()
        return answer

    def metric(self, name: str) -> float:
        lines = httpx.get(self.metrics_url, timeout=60).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def log(self) -> str:
        return self.output.read_text(encoding="utf-8")


@contextmanager
def people_server(
    folder: Path, *arguments: str, before: str = "", open_files: int | None = None
) -> Iterator[PeopleServer]:
    """Serve the model: ready when the block starts, terminated at its end.

    Args:
        before: Python source that the process runs before `mlp`, such as a patch of a library.
        open_files: Soft limit of open files of the process.
    """
    folder.mkdir(exist_ok=True)
    sha256 = write_artifact(folder / "version", fitted())
    output = folder / "output.txt"
    program = f"{before}\nfrom platform_lib.cli import main\nmain()"
    command = [sys.executable, "-c", program, "serve", "people@champion", "--port", "0", "--metrics-port", "0"]

    def limit() -> None:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    with registry("people", folder / "version", sha256) as uri, output.open("wb") as file:
        environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [*command, *arguments], cwd=folder, stdout=file, stderr=file, env=environment, preexec_fn=limit
        ) as process:
            try:
                url, metrics_url = (
                    wait_until(lambda pattern=pattern: _address(process, output, pattern), pattern)  # type: ignore[misc]
                    for pattern in (r"on (http://\S+), described", r"Metrics on (http://\S+)\.\n")
                )
                server = PeopleServer(url, metrics_url, process, output)
                wait_until(lambda: _is_ready(server), "the model")
                yield server
            finally:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


def _address(process: "subprocess.Popen[bytes]", output: Path, pattern: str) -> str | None:
    text = output.read_text(encoding="utf-8")
    assert process.poll() is None, text
    match = re.search(pattern, text)
    return match[1] if match else None


def _is_ready(server: PeopleServer) -> bool:
    assert server.process.poll() is None, server.log()
    try:
        return httpx.get(f"{server.url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
