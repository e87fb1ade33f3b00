"""The server as people start it: its own process on a real local registry while versions change."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.registry import Registry, load_model
from platform_lib.settings import Project, Settings
from tests.conftest import copy_of, free_port
from tests.serving.callers import ROWS, Callers, answers
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two versions with different predictions; the first is champion."""
    from platform_lib.training.run import train

    made = copy_of(trained, tmp_path_factory.mktemp("serving") / "project")
    train(made, Settings(), ["model.params.C=0.01", "gate.delta=1.0"], promote=False)
    return made


@contextmanager
def serving(
    project: Project, log: Path, *args: str, module: str = "platform_lib.cli"
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`mlp serve` on a free port: responds on /healthz when the block begins, stopped after it."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        module,
        *(["serve"] if module.endswith("cli") else []),
        "--port",
        str(port),
        "--poll",
        "0.05",
        *args,
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=project.root, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{url}/healthz", process, log))
            yield url, process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)


def served_version(url: str) -> str | None:
    version: str | None = httpx.get(f"{url}/model", timeout=10).json()["version"]
    return version


def offline(project: Project, version: str) -> tuple[list[Any], list[dict[str, float]]]:
    model = load_model(version, project)
    predictions = model.predict({name: [row[name] for row in ROWS] for name in model.contract.features})
    assert predictions.probabilities is not None
    return predictions.values.tolist(), [
        dict(zip(predictions.classes, row, strict=True)) for row in predictions.probabilities.tolist()
    ]


def test_promotions_and_a_rollback_under_load_fail_no_request(project: Project, tmp_path: Path) -> None:
    expected = {version: offline(project, version) for version in ("1", "2")}
    assert expected["1"][1] != expected["2"][1]
    registry = Registry(f"sqlite:///{project.database.as_posix()}")
    with serving(project, tmp_path / "log.txt") as (url, _):
        wait_until(lambda: served_version(url) == "1")
        with Callers(url, 4) as callers:
            registry.promote(registry.resolve(f"{project.name}/2"), override="the test promotes by hand")
            wait_until(lambda: served_version(url) == "2")
            registry.rollback(project.name)
            wait_until(lambda: served_version(url) == "1")
            registry.promote(registry.resolve(f"{project.name}/2"), override="the test promotes by hand")
            wait_until(lambda: served_version(url) == "2")
            registry.rollback(project.name)
            wait_until(lambda: served_version(url) == "1")
    assert callers.failures == []
    seen = {answer["model"]["version"] for answer in callers.answers}
    assert seen == {"1", "2"}
    for answer in callers.answers:
        values, probabilities = expected[answer["model"]["version"]]
        assert answer["predictions"] == values
        for row, wanted in zip(answer["probabilities"], probabilities, strict=True):
            assert row == pytest.approx(wanted, rel=1e-9)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can answer")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_it_prints_a_working_request_and_shuts_down_gracefully(signum: int, project: Project, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with serving(project, log) as (url, process):
        wait_until(lambda: "curl" in log.read_text(encoding="utf-8"))
        printed = log.read_text(encoding="utf-8")
        assert f"on {url}, described at {url}/docs" in printed
        words = shlex.split(re.search(r"^curl .*$", printed, re.MULTILINE).group())  # type: ignore[union-attr]
        answer = httpx.post(words[2], content=words[-1], headers={"Content-Type": "application/json"})
        assert len(answer.json()["predictions"]) == 1, answer.text
        process.send_signal(signum)
        assert process.wait(30) == 0
    assert log.read_text(encoding="utf-8").endswith("The model server has ended.\n")


def test_without_a_champion_it_waits_and_says_why(project: Project, tmp_path: Path) -> None:
    with serving(project, tmp_path / "log.txt", "@canary") as (url, _):
        wait_until(lambda: "canary" in httpx.get(f"{url}/readyz").text)
        answer = httpx.get(f"{url}/readyz")
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith(
            "sample-model@canary is not served yet: the registry has no sample-model@canary yet"
        )


def test_a_pinned_version_keeps_serving_after_a_promotion(project: Project, tmp_path: Path) -> None:
    with serving(project, tmp_path / "log.txt", "2") as (url, _):
        wait_until(lambda: served_version(url) == "2")
        assert httpx.get(f"{url}/model").json()["alias"] is None


MODULES = """
import sys
from platform_lib.registry.reference import Reference
from platform_lib.serving import server
from platform_lib.serving.http.app import create_app
from platform_lib.serving.models.loader import ModelLoader
from platform_lib.serving.models.open_registry import open_registry_client
import platform_lib.serving.worker, platform_lib.serving.predict_file, uvicorn
loader = ModelLoader(open_registry_client(sys.argv[1]), Reference("sample-model", alias="champion"), package="sample_model")
loader.poll()
create_app(loader)
assert loader.current is not None, loader.state
print(sorted({name.split(".")[0] for name in sys.modules} & {"mlflow", "prefect", "pulumi", "optuna", "hydra", "dvc", "pandera"}))
"""


def test_the_serving_process_loads_no_heavy_library(trained: Project) -> None:
    uri = f"sqlite:///{trained.database.as_posix()}"
    done = subprocess.run([sys.executable, "-c", MODULES, uri], capture_output=True, text=True, cwd=trained.root)
    assert done.stdout.strip() == "[]", done.stderr


def test_responses_are_json_with_exact_numbers(project: Project, tmp_path: Path) -> None:
    _, probabilities = offline(project, "1")
    with serving(project, tmp_path / "log.txt", "1") as (url, _):
        wait_until(lambda: served_version(url) == "1")
        for row, wanted in zip(ROWS, probabilities, strict=True):
            answer = json.loads(httpx.post(f"{url}/predict", json={"rows": [row]}).content)
            assert answer["probabilities"][0] == pytest.approx(wanted, rel=1e-9)
