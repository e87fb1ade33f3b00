"""A running server when its registry, model, log, login or clients fail: real processes."""

import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from platform_lib.serving.auth.api_keys import new_key
from tests.conftest import free_port
from tests.serving.faulty import (
    ANSWERS_NAN,
    NAME,
    RAISES,
    TAKES_A_MINUTE,
    FaultyProject,
    RunningServer,
    faulty_project,
    is_logged,
    open_files,
    serving,
)
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals, process groups and mounts of POSIX"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProject]:
    with faulty_project(tmp_path_factory.mktemp("faulty"), 7) as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.yaml"


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of one MiB if this user may mount one, else a plain folder."""
    folder = tmp_path_factory.mktemp("disk")
    is_mounted = (
        bool(shutil.which("mount"))
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
        ).returncode
        == 0
    )
    yield folder
    if is_mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def server(
    made: FaultyProject, keys: Path, small_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    key = new_key(keys, "checkout", ["predict", "admin"])
    arguments = [
        "--keys",
        str(keys),
        "--log",
        str(small_disk / "log"),
        "--body-timeout-s",
        "2",
        "--request-timeout-s",
        "1",
        "--concurrency",
        "2",
    ]
    issuer = {"MLP_OIDC_ISSUER": f"http://127.0.0.1:{free_port()}", "MLP_OIDC_AUDIENCE": "models"}
    with serving(made, tmp_path_factory.mktemp("out") / "out.txt", *arguments, environment=issuer, key=key) as server:
        yield server


@pytest.fixture(autouse=True)
def _sound_before_and_after(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that the server responds before and after each fault."""
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    yield
    if server is not None:
        assert server.process.poll() is None
        assert server.post().status_code == 200
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def promoted(made: FaultyProject, server: RunningServer, version: str) -> None:
    made.registry.promote(made.versions[version])
    wait_until(lambda: server.model()["version"] == version)


class TestRegistry:
    def test_killed_and_back(self, made: FaultyProject, server: RunningServer) -> None:
        version = server.model()["version"]
        made.mlflow.kill()
        wait_until(
            lambda: server.model()["registry_error"] == "the registry does not respond as MLflow does (ConnectError)."
        )
        assert server.post().json()["model"]["version"] == version
        made.mlflow.start()
        promoted(made, server, "2")
        assert server.model()["registry_error"] is None

    def test_artifact_store_gone_during_a_swap(self, made: FaultyProject, server: RunningServer) -> None:
        version = server.model()["version"]
        away = made.mlflow.artifacts.with_name("away")
        made.mlflow.artifacts.rename(away)
        made.registry.promote(made.versions["3"])
        wait_until(lambda: server.model()["registry_error"])
        assert server.post().json()["model"]["version"] == version
        shutil.rmtree(made.mlflow.artifacts, ignore_errors=True)
        away.rename(made.mlflow.artifacts)
        wait_until(lambda: server.model()["version"] == "3")
        assert server.model()["refused"] == []

    def test_a_rollback_restores_the_earlier_predictions_exactly(
        self, made: FaultyProject, server: RunningServer
    ) -> None:
        rows = [{"x": x / 7, "y": -x / 3} for x in range(20)]
        promoted(made, server, "3")
        before = server.post(*rows).json()
        promoted(made, server, "2")
        between = server.post(*rows).json()
        made.registry.rollback(NAME)
        wait_until(lambda: server.model()["version"] == "3")
        after = server.post(*rows).json()
        assert (after["probabilities"], after["model"]) == (before["probabilities"], before["model"])
        assert between["probabilities"] != before["probabilities"]

    @pytest.mark.parametrize(
        "version", ["4", "5", "6", "7"], ids=["corrupted", "truncated", "swapped for another", "another contract"]
    )
    def test_an_artifact_that_differs_from_the_registered_one_is_refused(
        self, version: str, made: FaultyProject, server: RunningServer
    ) -> None:
        model = made.files(version) / "model.skops"
        content = model.read_bytes()
        middle = len(content) // 2
        if version == "4":
            model.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        elif version == "5":
            model.write_bytes(content[:middle])
        elif version == "6":
            model.write_bytes((made.files("1") / "model.skops").read_bytes())
        else:
            shutil.copy(made.files("1") / "config.yaml", made.files(version) / "contract.yaml")
        before, refused = server.model()["version"], server.metric("mlp_model_refused_total", 'reason="files"')
        made.registry.promote(made.versions[version])
        wait_until(lambda: any(refusal["version"] == version for refusal in server.model()["refused"]))
        refusal = next(refusal for refusal in server.model()["refused"] if refusal["version"] == version)
        assert refusal["check"] == "files"
        assert f"version {version} of {NAME} is refused: {refusal['reason']}" in server.said()
        assert server.metric("mlp_model_refused_total", 'reason="files"') == refused + 1
        assert server.post().json()["model"]["version"] == before
        made.registry.rollback(NAME)


class TestModel:
    def test_that_raises(self, server: RunningServer) -> None:
        answer = server.post({"x": RAISES, "y": 0.0})
        assert answer.status_code == 500
        assert "RuntimeError" in answer.json()["detail"]
        assert "secret-inside" not in answer.text
        assert "secret-inside" in server.said()

    def test_that_answers_nan(self, server: RunningServer) -> None:
        answer = server.post({"x": 0.0, "y": 0.0}, {"x": ANSWERS_NAN, "y": 0.0})
        assert answer.status_code == 500
        assert "predicted something that is not a number in row 1" in answer.json()["detail"]

    def test_that_takes_a_minute(self, server: RunningServer) -> None:
        """One of two threads is blocked for the minute; the other serves requests meanwhile."""
        answer = server.post({"x": TAKES_A_MINUTE, "y": 0.0})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert [server.post().status_code for _ in range(5)] == [200] * 5


class TestLog:
    def test_a_full_disk_is_reported_and_loses_nothing_once_there_is_room(
        self, server: RunningServer, small_disk: Path
    ) -> None:
        if not small_disk.is_mount():
            pytest.skip("mount: only root may mount a small disk")
        with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(b"x" * 4096)
        request_id = server.post().json()["request_id"]
        wait_until(lambda: any("is full" in problem for problem in server.model()["problems"]))
        assert server.post().status_code == 200
        (small_disk / "filler").unlink()
        wait_until(lambda: is_logged(small_disk / "log", request_id))
        wait_until(lambda: not any("request log" in problem for problem in server.model()["problems"]))
        assert server.metric("mlp_log_dropped_total") == 0

    def test_a_folder_that_cannot_be_written_to_is_reported_and_loses_nothing_once_it_can(
        self, server: RunningServer, small_disk: Path
    ) -> None:
        log = small_disk / "log"
        request_id = server.post().json()["request_id"]
        wait_until(lambda: is_logged(log, request_id))
        log.rename(small_disk / "earlier")
        log.write_text("a file where the folder was", encoding="utf-8")
        request_id = server.post().json()["request_id"]
        wait_until(lambda: any("request log" in problem for problem in server.model()["problems"]))
        log.unlink()
        (small_disk / "earlier").rename(log)
        wait_until(lambda: is_logged(log, request_id))
        assert server.metric("mlp_log_dropped_total") == 0


class TestAccess:
    def test_an_issuer_outage_is_a_503_and_api_keys_keep_working(self, server: RunningServer) -> None:
        import jwt

        token = jwt.encode(
            {"iss": "http://127.0.0.1:1", "aud": "models", "scope": "predict"},
            "k" * 32,
            algorithm="HS256",
            headers={"kid": "one"},
        )
        assert server.post(key=token).status_code in (401, 503)
        signed = jwt.encode({"aud": "models"}, signing_key(), algorithm="ES256", headers={"kid": "one"})
        answer = server.post(key=signed)
        assert answer.status_code == 503
        assert "cannot be reached" in answer.json()["detail"]
        assert server.post().status_code == 200

    def test_a_half_written_key_file_changes_nothing_and_is_reported(self, server: RunningServer, keys: Path) -> None:
        whole = keys.read_text(encoding="utf-8")
        keys.write_text(whole[: len(whole) - 40], encoding="utf-8")
        wait_until(lambda: any("key" in problem for problem in server.model()["problems"]))
        assert server.post().status_code == 200
        keys.write_text(whole, encoding="utf-8")
        added = new_key(keys, "late", ["predict"])
        wait_until(lambda: server.post(key=added).status_code == 200)
        wait_until(lambda: not any("keys.yaml" in problem for problem in server.model()["problems"]))


def signing_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def connect(server: RunningServer) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60)


def head(server: RunningServer, length: int) -> bytes:
    fields = [
        "POST /predict HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {server.key}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "".join(f"{line}\r\n" for line in [*fields, ""]).encode()


class TestClients:
    def test_that_sends_a_byte_at_a_time_is_cut_off(self, server: RunningServer) -> None:
        with closing(connect(server)) as slow:
            slow.sendall(head(server, 1000))
            slow.settimeout(0.2)
            answer = b""
            for _ in range(300):
                try:
                    slow.sendall(b" ")
                    answer += slow.recv(4096)
                    break
                except TimeoutError:
                    continue
        assert answer.startswith(b"HTTP/1.1 408 ")

    @pytest.mark.parametrize("sent", ["half a head", "half a body", "everything"])
    def test_that_vanishes_leaves_nothing_behind(self, sent: str, server: RunningServer) -> None:
        body = b'{"rows": [{"x": 1.0, "y": 0.0}]}'
        whole = head(server, len(body)) + body
        for _ in range(20):
            gone = connect(server)
            gone.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # reset instead of a closing handshake
            gone.sendall(whole[:20] if sent == "half a head" else whole[:-5] if sent == "half a body" else whole)
            gone.close()
        wait_until(lambda: server.metric("mlp_in_flight") == 0)
        assert server.post().status_code == 200

    def test_a_thousand_idle_connections_do_not_affect_requests(self, server: RunningServer) -> None:
        with ExitStack() as stack:
            stack.enter_context(open_files(4096))
            idle = [stack.enter_context(closing(connect(server))) for _ in range(1000)]
            assert [server.post().status_code for _ in range(20)] == [200] * 20
            idle[0].sendall(head(server, 32) + b'{"rows": [{"x": 1.0, "y": 0.0}]}')
            assert idle[0].recv(4096).startswith(b"HTTP/1.1 200 ")
