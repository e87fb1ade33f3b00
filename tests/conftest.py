"""What all tests share: generated projects in the one development environment, and the command run as users run it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import copier
import httpx
import psutil
import pytest

from platform_lib.settings import Project, Settings, find_project
from tests.engines import need_engine

REPOSITORY = Path(__file__).resolve().parents[1]

pytest_plugins = ["tests.k8slab.fixtures", "tests.infra.fixtures"]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs a whole file, so that what a module shares is made once; slow tests come first, so that both
    end together.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_reaches_children() -> None:
    """Undo that a shell makes background jobs ignore SIGINT, which the tests' own processes would inherit."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> None:
    """No setting of the machine reaches a test: servers, keys and colours come from the test or not at all; nor does
    the `make test` around it.
    """
    for name in [
        n
        for n in os.environ
        if n.startswith(
            ("MLP_", "MLFLOW_", "PREFECT_", "AWS_", "DVC_", "UV_PROJECT", "MAKE", "MFLAGS", "COLUMNS", "LINES")
        )
    ]:
        if name != "MLP_FACTS":  # where the charts' facts lie: of the tests, not of the product
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile the library anew
    os.environ |= {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_EMAIL": "tests@example.invalid",
        "GIT_AUTHOR_NAME": "Tests",
        "GIT_COMMITTER_EMAIL": "tests@example.invalid",
        "GIT_COMMITTER_NAME": "Tests",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


@pytest.fixture(scope="session")
def template_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without its git history: Copier renders it in 0.1 s, uncommitted changes included."""
    folder = tmp_path_factory.mktemp("template-source")
    shutil.copy(REPOSITORY / "copier.yml", folder)
    shutil.copytree(REPOSITORY / "template", folder / "template")
    return folder


@pytest.fixture(scope="session")
def engine() -> Callable[[str], str]:
    """`engine("promtool")`: path of a program that is no Python package; skips with its name, or fails where CI says
    all must be there.
    """
    return lambda name: str(need_engine(name))


def git(folder: Path, *args: str) -> str:
    """Run git in a folder and return what it prints."""
    return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit_all(folder: Path, message: str = "work") -> str:
    """Commit everything; returns the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture(scope="session")
def generate(template_source: Path) -> Callable[..., Project]:
    """`generate(folder, **answers)`: a committed project for tests that use the shared environment.

    Its lock file only stands for one (lineage hashes it); tests of real locks make their own.
    """

    def make(folder: Path, **answers: str) -> Project:
        copier.run_copy(
            str(template_source), folder, data={"project_name": "sample-model"} | answers, defaults=True, quiet=True
        )
        (folder / "uv.lock").write_text("version = 1\n", encoding="utf-8")
        git(folder, "init", "-q", "-b", "main")
        commit_all(folder, "generated")
        return find_project(folder)

    return make


@pytest.fixture
def project(tmp_path: Path, generate: Callable[..., Project], request: pytest.FixtureRequest) -> Project:
    """A fresh classification project with the sample; `@pytest.mark.answers(task="regression")` changes the answers."""
    marker = request.node.get_closest_marker("answers")
    return generate(tmp_path / "project", **(marker.kwargs if marker else {}))


def run_mlp(
    project: Project | Path,
    *args: str,
    env: dict[str, str] | None = None,
    timeout_s: float = 120,
    expect: int | None = 0,
) -> subprocess.CompletedProcess[str]:
    """Run `mlp` as a process in a project, as users and CI do; checks the exit code unless `expect` is None."""
    folder = project.root if isinstance(project, Project) else project
    done = subprocess.run(
        [sys.executable, "-m", "platform_lib.cli", *args],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )
    if expect is not None:
        assert done.returncode == expect, f"mlp {' '.join(args)} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def copy_of(project: Project, folder: Path) -> Project:
    """A project's twin in another folder, store and models included: what to take where a test changes `trained`.

    The store notices that it was moved when it is first opened.
    """
    shutil.copytree(project.root, folder)
    return find_project(folder)


def _trained(folder: Path, generate: Callable[..., Project], **answers: str) -> Project:
    from platform_lib.training.run import train

    made = generate(folder, **answers)
    result = train(made, Settings())
    assert result.promoted, result.verdict.reasons
    return made


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project]) -> Project:
    """A classification project with one version, the champion, in its local store.

    Read it only; `copy_of(trained, tmp_path / "p")` to change it.
    """
    return _trained(tmp_path_factory.mktemp("trained") / "project", generate)


@pytest.fixture(scope="session")
def trained_regression(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project]) -> Project:
    """A regression project with one version, the champion, in its local store.

    Read it only; `copy_of` it to change it.
    """
    return _trained(tmp_path_factory.mktemp("trained-regression") / "project", generate, task="regression")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def server(
    command: Sequence[str], health_url: str, log: Path, *, env: dict[str, str] | None = None, timeout_s: float = 240
) -> Iterator[None]:
    """Run a server until the block ends: waits until `health_url` answers 200, stops it and its children by their
    ids.
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        try:
            _wait_until_healthy(process, health_url, log, timeout_s)
            yield
        finally:
            family = (
                [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                if process.poll() is None
                else []
            )
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.terminate()
            for member in psutil.wait_procs(family, timeout=20)[1]:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait(timeout=20)


def _wait_until_healthy(process: subprocess.Popen[bytes], health_url: str, log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{log.read_text()[-3000:]}"
        try:
            if httpx.get(health_url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{health_url} did not answer within {timeout_s} s:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a shared MLflow server of its own, artifacts through its proxy; for slow tests.

    Use a model name of your own in it.

    Mark the tests `@pytest.mark.slow` and `@pytest.mark.xdist_group("servers")`, so that one worker starts it once.
    """
    from platform_lib.registry.store import ensure_database

    folder = tmp_path_factory.mktemp("mlflow-server")
    ensure_database(folder / "mlflow.db")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
        "--artifacts-destination",
        str(folder / "shared-artifacts"),
    ]
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://127.0.0.1:{port}"
    with server(command, f"{url}/health", folder / "log.txt", env=env):
        yield url


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """API address (`…/api`) of a Prefect server of its own, for `PREFECT_API_URL`; for slow tests in the xdist group
    "servers".
    """
    folder = tmp_path_factory.mktemp("prefect-server")
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    env = {
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    with server(command, f"http://127.0.0.1:{port}/api/health", folder / "log.txt", env=env):
        yield f"http://127.0.0.1:{port}/api"


@dataclass(frozen=True, slots=True)
class Called:
    """What a command did in this process."""

    code: int
    out: str
    err: str


@pytest.fixture
def call_mlp(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """`call_mlp(project, "models", "--json")`: a command in this process, seconds faster than `run_mlp` as libraries
    are loaded already.
    """
    from platform_lib.cli import main

    def call(project: Project, *args: str) -> Called:
        with monkeypatch.context() as patched:
            patched.chdir(project.root)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main(list(args))
        said = capsys.readouterr()
        return Called(int(ended.value.code or 0), said.out, said.err)

    return call
