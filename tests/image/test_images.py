"""Both images of a generated project, built and run: train, promote, serve, drain.

`engine` says what this covers and what it does not.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import copier
import httpx
import pytest

from platform_lib.names import VersionTag
from platform_lib.registry import Registry
from platform_lib.serving.auth.api_keys import new_key
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from platform_lib.settings import Project, find_project
from tests.conftest import COMPLETE, REPOSITORY, commit_all, free_port
from tests.image.engine import Container, Image, base_python, builder, container
from tests.serving.callers import ROWS, Callers
from tests.template.shells import shell, user_environment
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.xdist_group("servers")]


@dataclass(frozen=True)
class Built:
    """A generated project and its images."""

    project: Project
    commit: str
    images: dict[str, Image]


@pytest.fixture(scope="module")
def built(template_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """A uv project whose library is pinned to this folder, with one extra Debian package and both targets built."""
    folder = tmp_path_factory.mktemp("images")
    with builder() as buildah:
        root = folder / "project"
        copier.run_copy(
            str(template_source), root, data=COMPLETE | {"project_name": "boxed-model"}, defaults=True, quiet=True
        )
        pyproject = root / "pyproject.toml"
        text = pyproject.read_text(encoding="utf-8")
        pyproject.write_text(text.replace(template_source.resolve().as_uri(), REPOSITORY.as_uri()), encoding="utf-8")
        (root / "docker" / "apt.txt").write_text("# a compiler's library\nlibgomp1  # by name\n", encoding="utf-8")
        for decoy in (".env", ".dvc/config.local", "src/boxed_model/deploy.pem", "src/boxed_model/.aws/credentials"):
            (root / decoy).parent.mkdir(exist_ok=True)
            (root / decoy).write_text("secret", encoding="utf-8")
        env = user_environment() | buildah.environment | {"UV_PYTHON": base_python()}
        shell(root, "make", "setup", env=env)
        commit = commit_all(root)
        secrets = " ".join(f"--secret id={name},src={file}" for name, file in pip_settings(folder).items())
        for target in ("train", "serve"):
            shell(
                root,
                "make",
                "image",
                f"BUILD={buildah.command}",
                f"TARGET={target}",
                f"TAG={target}",
                f"ARGS={secrets}",
                env=env,
            )
        yield Built(find_project(root), commit, {target: buildah.mounted(target) for target in ("train", "serve")})


def pip_settings(folder: Path) -> dict[str, Path]:
    """This machine's pip settings and certificates, as a user passes them to a build."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    values = dict(re.findall(r"^(?:global|install|user|:env:)\.([a-z-]+)='(.*)'$", listed, re.MULTILINE))
    bundle = values.pop("cert", os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    kept = {
        name: value
        for name, value in values.items()
        if name in ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout")
    }
    lines = [f"{name} = {value}" for name, value in {**kept, "cert": "/run/secrets/certificates.pem"}.items()]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    return {"pip": folder / "pip.conf", "certificates": Path(bundle)}


@pytest.fixture(scope="module")
def champion(built: Built, mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Promote the version that the image `train` registered on a shared registry, and return its number."""
    places = ("/tmp", "/app/.mlp")
    with container(
        built.images["train"],
        tmp_path_factory.mktemp("train"),
        environment={"MLFLOW_TRACKING_URI": mlflow_server},
        empty=places,
    ) as training:
        assert training.wait(300) == 0, training.said()
    registry = Registry(mlflow_server)
    version = registry.resolve(f"{built.project.name}@candidate")
    registry.promote(version)
    return str(version.version)


@pytest.fixture
def serving(
    built: Built, champion: str, mlflow_server: str, tmp_path: Path
) -> Iterator[tuple[Container, str, dict[str, str], Path]]:
    """The serving image with a key file and a log folder on loopback: container, address, request headers, log."""
    key = new_key(tmp_path / "keys.yaml", "caller", ["predict"])
    log = tmp_path / "log"
    log.mkdir(mode=0o777)
    log.chmod(0o777)
    port = free_port()
    environment = {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MLP_KEYS": "/keys.yaml",
        "MLP_LOG": "/log",
        "MLP_QUEUE": "1024",
    }
    volumes = {"/keys.yaml": tmp_path / "keys.yaml", "/log": log}
    command = ["serve", "--port", str(port), "--metrics-port", str(free_port())]
    with container(
        built.images["serve"], tmp_path / "box", command=command, environment=environment, volumes=volumes
    ) as box:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_ready(url, box))
        yield box, url, {"Authorization": f"Bearer {key}"}, log


def is_ready(url: str, box: Container) -> bool:
    assert box.process.poll() is None, box.said()
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_train_image_registers_a_version_with_its_own_commit(
    built: Built, champion: str, mlflow_server: str
) -> None:
    tags = Registry(mlflow_server).resolve(f"{built.project.name}/{champion}").tags
    assert (tags[VersionTag.GIT_COMMIT], tags[VersionTag.DIRTY]) == (built.commit, "false")


def test_the_serve_image_predicts_as_an_unprivileged_user_on_a_read_only_root(
    serving: tuple[Container, str, dict[str, str], Path], champion: str
) -> None:
    box, url, headers, _ = serving
    answer = httpx.post(f"{url}/predict", json={"rows": ROWS}, headers=headers, timeout=30).json()
    assert (answer["model"], len(answer["predictions"])) == ({"name": "boxed-model", "version": champion}, len(ROWS))
    assert httpx.post(f"{url}/predict", json={"rows": ROWS}).status_code == 401
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{box.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == ["10001"] * 4
    assert (status["CapEff"], status["CapBnd"], status["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    root = next(
        line.split()[5]
        for line in Path(f"/proc/{box.pid}/mountinfo").read_text().splitlines()
        if line.split()[4] == "/"
    )
    assert "ro" in root.split(",")


def test_sigterm_under_load_completes_requests_in_flight_and_flushes_the_log(
    serving: tuple[Container, str, dict[str, str], Path],
) -> None:
    box, url, headers, log = serving
    with Callers(url, 8, headers) as callers:
        wait_until(lambda: len(callers.answers) >= 50)
        box.kill(signal.SIGTERM)
        assert box.wait(60) == 0, box.said()
    # After the shutdown, connections are closed or refused for callers that do not know of it; in a cluster the pod
    # is out of rotation by then.
    assert [
        failure
        for failure in callers.failures
        if not failure.startswith(("ConnectError", "RemoteProtocolError", "ReadError"))
    ] == []
    answered = {answer["request_id"] for answer in callers.answers}
    table = LogFolder.at(str(log)).read(PREDICTIONS)
    assert set(table["request_id"].to_pylist()) == answered
    assert table.num_rows == len(answered) * len(ROWS)


def test_without_keys_the_serve_image_refuses_to_listen(built: Built, tmp_path: Path) -> None:
    with container(
        built.images["serve"], tmp_path / "box", environment={"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    ) as box:
        assert box.wait() == 2
    assert box.said().startswith("error: --host 0.0.0.0 would let other machines call without a key")


def test_with_defaults_and_any_user_it_is_alive_and_says_what_it_waits_for(built: Built, tmp_path: Path) -> None:
    new_key(tmp_path / "keys.yaml", "caller", ["predict"])
    environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "MLP_KEYS": "/keys.yaml"}
    volumes = {"/keys.yaml": tmp_path / "keys.yaml"}
    with container(
        built.images["serve"], tmp_path / "box", environment=environment, volumes=volumes, own_network=True, user=54321
    ) as box:
        wait_until(lambda: "described at http://0.0.0.0:8000/docs" in box.said())
        inside = ["nsenter", f"--net=/proc/{box.pid}/ns/net"]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        wait_until(
            lambda: (
                b"200"
                in subprocess.run([*inside, *_status("http://127.0.0.1:8000/healthz")], capture_output=True).stdout
            )
        )
        assert (
            subprocess.run([*inside, *_status("http://127.0.0.1:9000/metrics")], capture_output=True).stdout.strip()
            == b"200"
        )
        wait_until(
            lambda: (
                b"the registry does not respond"
                in subprocess.run([*inside, *_status("http://127.0.0.1:8000/readyz")], capture_output=True).stdout
            )
        )
        box.kill(signal.SIGTERM)
        assert box.wait(60) == 0


def _status(url: str) -> list[str]:
    """Print the status of an address, and the reason of a refusal."""
    program = (
        "import httpx, sys; a = httpx.get(sys.argv[1], timeout=5); "
        "print(a.status_code, a.text if a.status_code != 200 else '')"
    )
    return [sys.executable, "-c", program, url]


def test_the_serve_image_contains_only_what_serving_needs_and_no_build_settings(built: Built) -> None:
    root = built.images["serve"].root
    names = {
        re.sub(r"-[^-]+\.dist-info$", "", path.name).lower() for path in (root / "opt" / "venv").rglob("*.dist-info")
    }
    assert {"platform_lib", "fastapi", "opentelemetry_sdk"} <= names
    assert not names & {"mlflow", "mlflow_skinny", "prefect", "dvc", "pulumi", "optuna", "hydra_core", "pandera", "pip"}
    assert sorted(path.name for path in (root / "app").iterdir()) == ["pyproject.toml", "src"]
    assert list((root / "usr" / "lib").glob("*/libgomp.so.1"))
    for image in built.images.values():
        assert not (image.root / "etc" / "pip.conf").exists()
        assert not list((image.root / "run").glob("secrets/*"))
        assert [line for line in image.config["Env"] if line.startswith(("PIP_", "SSL_", "HTTP"))] == []
        assert not list((image.root / "app").glob(".git"))


def test_the_train_image_contains_the_project_without_files_for_people(built: Built) -> None:
    app = built.images["train"].root / "app"
    held = {path.name for path in app.iterdir()}
    listed = {
        "Dockerfile",
        ".dockerignore",
        ".dvc",
        ".dvcignore",
        "conf",
        "data",
        "docker",
        "pyproject.toml",
        "src",
        "uv.lock",
    }
    assert held - {".dockerignore"} == listed - {".dockerignore"} | {".mlp", ".mlp-source.json"}
    assert [path.name for path in app.rglob("*") if path.name in (".env", "config.local", "deploy.pem")] == []
    assert json.loads((app / ".mlp-source.json").read_text(encoding="utf-8")) == {
        "git_commit": built.commit,
        "dirty_files": [],
    }
