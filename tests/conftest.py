"""Shared fixtures: generated projects, the `mlp` command as users run it, and servers."""

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
COMPLETE = {"project_name": "sample-model", "description": "Tests the library.", "repository_owner": "tests"}
"""Answers with which the model card has what a shared registry asks for."""

pytest_plugins = [
    "tests.ci.osv",
    "tests.k8slab.fixtures",
    "tests.infra.fixtures",
    "tests.infra.services.fixtures",
    "tests.local_platform.running",
]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file on one worker and start slow tests first.

    A module's shared fixtures are then built once, and both tiers finish together.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_reaches_children() -> None:
    """Restore the default SIGINT handler for child processes.

    A shell that starts the tests in the background makes them ignore SIGINT, and their children would inherit that.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Clear the machine's settings from the environment.

    Servers, keys and colours come from the test or not at all; the settings of a surrounding `make test` are cleared
    too.
    """
    for name in [
        n
        for n in os.environ
        if n.startswith(
            ("MLP_", "MLFLOW_", "PREFECT_", "AWS_", "DVC_", "UV_PROJECT", "MAKE", "MFLAGS", "COLUMNS", "LINES")
        )
    ]:
        if name not in ("MLP_FACTS", "MLP_CHARTS"):  # charts and their facts belong to the tests, not to the product
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # otherwise hundreds of processes would each recompile the library
    os.environ |= {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_EMAIL": "tests@example.invalid",
        "GIT_AUTHOR_NAME": "Tests",
        "GIT_COMMITTER_EMAIL": "tests@example.invalid",
        "GIT_COMMITTER_NAME": "Tests",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config")),  # the signing key of all trainings here
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
    """`engine("promtool")`: path of a program that is not a Python package.

    Skips the test with the program's name, or fails where CI says that every engine must be present.
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

    Its lock file is only a placeholder that lineage can hash; tests of real locks create their own.
    """

    def make(folder: Path, **answers: str) -> Project:
        copier.run_copy(str(template_source), folder, data=COMPLETE | answers, defaults=True, quiet=True)
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
    """Run `mlp` as a process in a project, as users and CI do; check the exit code unless `expect` is None."""
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
    """Copy a project, including its store and models, to another folder, for tests that change `trained`.

    The store detects that it was moved when it is first opened.
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

    Read it only; to change it, use `copy_of(trained, tmp_path / "p")`.
    """
    return _trained(tmp_path_factory.mktemp("trained") / "project", generate)


@pytest.fixture(scope="session")
def trained_regression(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project]) -> Project:
    """A regression project with one version, the champion, in its local store.

    Read it only; to change it, use `copy_of`.
    """
    return _trained(tmp_path_factory.mktemp("trained-regression") / "project", generate, task="regression")


def free_port() -> int:
    """Return a loopback port on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def server(
    command: Sequence[str], health_url: str, log: Path, *, env: dict[str, str] | None = None, timeout_s: float = 240
) -> Iterator[None]:
    """Run a server until the block ends.

    Waits until `health_url` answers 200; at the end stops the server and its children by process ID.
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
    """Address of a shared MLflow server that proxies artifacts; for slow tests.

    Use a model name that no other test uses. Mark the tests `@pytest.mark.slow` and
    `@pytest.mark.xdist_group("servers")`, so that one worker starts the server once.
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
    """API address (`…/api`) of a shared Prefect server, for `PREFECT_API_URL`.

    For slow tests in the xdist group "servers".
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
    """The result of a command that ran in this process."""

    code: int
    out: str
    err: str


@pytest.fixture
def call_mlp(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """`call_mlp(project, "models", "--json")`: run a command in this process.

    Seconds faster than `run_mlp`, because the libraries are already loaded.
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
