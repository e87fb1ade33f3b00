"""Run the README's commands as a newcomer types them: clone, own table, train, serve, predict."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sklearn.datasets import load_wine

from tests.conftest import REPOSITORY, commit_all, git

HOME_URL = "https://github.com/cloud-ml-platform/cloud-ml-platform"


def blocks() -> list[list[str]]:
    """The README's `sh` blocks, one list of lines each."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)]


def test_the_readme_contains_the_blocks_that_the_next_test_runs() -> None:
    assert [block[-1] for block in blocks()] == [
        "make demo",
        "mlp train",
        "mlp serve",
        "mlp predict ~/my.csv --out predictions.csv",
        "make test",
    ]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A newcomer's machine: an empty home with a CSV file, and a project address that leads to this checkout."""
    home = tmp_path_factory.mktemp("stranger")
    upstream = home / "upstream"
    git(home, "clone", "-q", "--no-hardlinks", str(REPOSITORY), str(upstream))
    for name in git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (REPOSITORY / name).is_file():
            (upstream / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, upstream / name)
    commit_all(upstream, "the working tree")
    wine = load_wine(as_frame=True).frame.rename(columns={"target": "churned"})
    wine["churned"] = wine["churned"].map({0: "no", 1: "yes", 2: "maybe"})
    wine.loc[::7, "alcohol"] = None
    wine.to_csv(home / "my.csv", index=False)
    keep = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return keep | {
        "HOME": str(home),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{upstream}.insteadOf",
        "GIT_CONFIG_VALUE_0": HOME_URL,
    }


def run(lines: list[str], folder: Path, env: dict[str, str]) -> str:
    """Run lines in one shell that stops at the first failure, and return the output."""
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.xdist_group("stranger")
def test_a_newcomer_gets_from_clone_to_a_served_prediction(stranger: dict[str, str]) -> None:
    home = Path(stranger["HOME"])
    clone, own_table, serve, predict_file, _ = blocks()
    run([line for line in clone if line != "make demo"], home, stranger)  # make demo has its own test
    run(own_table, home / "cloud-ml-platform", stranger)
    project = home / "churn-model"

    activate = ". .venv/bin/activate"
    run([activate, *predict_file], project, stranger)
    header = (project / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.endswith("prediction,probability_maybe,probability_no,probability_yes")

    port = free_port()
    server = subprocess.Popen(
        ["bash", "-ec", f"{activate}\nexec {serve[0]} --port {port}"],
        cwd=project,
        env=stranger,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/readyz", server)
        row = load_wine(as_frame=True).data.iloc[0].to_dict()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/predict",
            data=json.dumps({"rows": [row]}).encode(),
            headers={"Content-Type": "application/json"},
        )
        answer = json.load(urllib.request.urlopen(request, timeout=30))
        assert answer["predictions"] == ["no"]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
    assert server.returncode in (0, 130)


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until_ready(url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, server.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`demo("--stop")`: run the demo in a folder of its own and return its output. What is left running is stopped."""
    script = [sys.executable, str(REPOSITORY / "scripts" / "demo.py"), "--folder", str(tmp_path / "demo")]

    def call(*options: str) -> str:
        done = subprocess.run(
            [*script, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
        )
        print(done.stdout)
        assert done.returncode == 0
        return done.stdout

    yield call
    call("--down")


@pytest.mark.slow
@pytest.mark.xdist_group("demo")
def test_the_demo_succeeds_and_what_it_proposes_works(demo: Callable[..., str], tmp_path: Path) -> None:
    printed = demo()

    assert printed.startswith("A project predicts which customers cancel. This takes ")
    assert "The predictions are exactly the same as before the promotion." in printed
    with httpx.Client(follow_redirects=True) as browser:
        for title in ("MLflow", "Prefect", "model server"):
            link = re.findall(rf"^ *{title} +(http\S+)$", printed, flags=re.MULTILINE)[-1]
            page = browser.get(link)
            assert (page.status_code, "text/html" in page.headers["content-type"]) == (200, True), title
    proposed = printed.split("Try next:\n")[1].split("\n\n")[0].splitlines()
    commands = [re.split(r" {3,}", line.strip())[0] for line in proposed]
    assert [command.split()[0] for command in commands] == ["cd", *[".venv/bin/mlp"] * 3]
    bare = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}  # no uv
    assert "held-out rows" in run(commands[:2], tmp_path, bare)
    server = re.findall(r"^ *model server +(http://\S+)/docs$", printed, flags=re.MULTILINE)[-1]

    demo("--down")

    with pytest.raises(httpx.ConnectError):
        httpx.get(server)
