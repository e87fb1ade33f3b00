"""What the running server does when what it stands on breaks. One registry and one server, real processes, for as many faults as allow it."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from platform_lib.serving.auth.api_keys import new_key
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from tests.conftest import free_port
from tests.serving.faulty import (
    ANSWERS_NAN,
    NAME,
    RAISES,
    TAKES_A_MINUTE,
    Moods,
    MoodServer,
    moods,
    open_files,
    serving,
)
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals, process groups and mounts of POSIX"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moods]:
    with moods(tmp_path_factory.mktemp("moods"), 7) as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.yaml"


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of one MiB where this user may mount one, else a plain folder."""
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
def server(made: Moods, keys: Path, small_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoodServer]:
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
    """Each fault begins with a server that answers, and leaves one."""
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    yield
    if server is not None:
        assert server.process.poll() is None
        assert server.post().status_code == 200
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def promoted(made: Moods, server: MoodServer, version: str) -> None:
    made.registry.promote(made.versions[version])
    wait_until(lambda: server.model()["version"] == version)


class TestRegistry:
    def test_killed_and_back(self, made: Moods, server: MoodServer) -> None:
        version = server.model()["version"]
        made.mlflow.kill()
        wait_until(
            lambda: server.model()["registry_error"] == "the registry does not respond as MLflow does (ConnectError)."
        )
        assert server.post().json()["model"]["version"] == version
        made.mlflow.start()
        promoted(made, server, "2")
        assert server.model()["registry_error"] is None

    def test_artifact_store_gone_during_a_swap(self, made: Moods, server: MoodServer) -> None:
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

    def test_rollback_gives_the_earlier_answers_to_the_last_digit(self, made: Moods, server: MoodServer) -> None:
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
    def test_an_artifact_that_is_not_the_registered_one_is_refused(
        self, version: str, made: Moods, server: MoodServer
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
    def test_that_raises(self, server: MoodServer) -> None:
        answer = server.post({"x": RAISES, "y": 0.0})
        assert answer.status_code == 500
        assert "RuntimeError" in answer.json()["detail"]
        assert "secret-inside" not in answer.text
        assert "secret-inside" in server.said()

    def test_that_answers_nan(self, server: MoodServer) -> None:
        answer = server.post({"x": 0.0, "y": 0.0}, {"x": ANSWERS_NAN, "y": 0.0})
        assert answer.status_code == 500
        assert "answers row 1 with something that is no number" in answer.json()["detail"]

    def test_that_takes_a_minute(self, server: MoodServer) -> None:
        """One of two threads is lost for the minute; who asks meanwhile is answered by the other."""
        answer = server.post({"x": TAKES_A_MINUTE, "y": 0.0})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert [server.post().status_code for _ in range(5)] == [200] * 5


class TestLog:
    def test_a_full_disk_is_reported_and_loses_nothing_once_there_is_room(
        self, server: MoodServer, small_disk: Path
    ) -> None:
        if not small_disk.is_mount():
            pytest.skip("mount: only root may mount a small disk")
        with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(b"x" * 4096)
        request_id = server.post().json()["request_id"]
        wait_until(lambda: any("No space left" in problem for problem in server.model()["problems"]))
        assert server.post().status_code == 200
        (small_disk / "filler").unlink()
        wait_until(lambda: is_logged(small_disk / "log", request_id))
        wait_until(lambda: not any("request log" in problem for problem in server.model()["problems"]))
        assert server.metric("mlp_log_dropped_total") == 0

    def test_a_folder_that_cannot_be_written_to_is_reported_and_loses_nothing_once_it_can(
        self, server: MoodServer, small_disk: Path
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


def is_logged(folder: Path, request_id: str) -> bool:
    log = LogFolder.at(str(folder))
    return (
        bool(log.files(PREDICTIONS))
        and request_id in log.read(PREDICTIONS, columns=["request_id", "time"])["request_id"].to_pylist()
    )


class TestAccess:
    def test_an_issuer_that_is_down_is_unavailable_and_keys_go_on_working(self, server: MoodServer) -> None:
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

    def test_a_half_written_key_file_changes_nothing_and_is_reported(self, server: MoodServer, keys: Path) -> None:
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


def connect(server: MoodServer) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60)


def head(server: MoodServer, length: int) -> bytes:
    fields = f"Host: x\r\nAuthorization: Bearer {server.key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    return f"POST /predict HTTP/1.1\r\n{fields}\r\n".encode()


class TestClients:
    def test_that_sends_a_byte_at_a_time_is_cut_off(self, server: MoodServer) -> None:
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
    def test_that_vanishes_leaves_nothing_behind(self, sent: str, server: MoodServer) -> None:
        body = b'{"rows": [{"x": 1.0, "y": 0.0}]}'
        whole = head(server, len(body)) + body
        for _ in range(20):
            gone = connect(server)
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset instead of a farewell
            gone.sendall(whole[:20] if sent == "half a head" else whole[:-5] if sent == "half a body" else whole)
            gone.close()
        wait_until(lambda: server.metric("mlp_in_flight") == 0)
        assert server.post().status_code == 200

    def test_a_thousand_idle_connections_disturb_nobody(self, server: MoodServer) -> None:
        with ExitStack() as stack:
            stack.enter_context(open_files(4096))
            idle = [stack.enter_context(closing(connect(server))) for _ in range(1000)]
            assert [server.post().status_code for _ in range(20)] == [200] * 20
            idle[0].sendall(head(server, 32) + b'{"rows": [{"x": 1.0, "y": 0.0}]}')
            assert idle[0].recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("status", [403, 503])
def test_an_s3_that_refuses_is_reported_and_what_it_never_took_is_counted(status: int, tmp_path: Path) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Refusing(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *args: object) -> None:
            return

    store = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=store.serve_forever, args=(0.01,), daemon=True).start()
    code = (
        "import json, time\n"
        "from platform_lib.serving.request_log.recorder import LogSettings, RequestLog\n"
        "from tests.serving.request_log.test_recorder import log_one\n"
        "log = RequestLog(LogSettings(place='s3://bucket/logs', send_s=0.05, flush_s=0.1))\n"
        "log_one(log)\n"
        "while log.problem is None: time.sleep(0.05)\n"
        "log.close(5)\n"
        "print(json.dumps([log.counts.taken, log.counts.written, log.counts.dropped]))\n"
    )
    credentials = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.server_port}",
    }
    environment = os.environ | credentials | {"AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        store.shutdown()
        store.server_close()
    assert done.stdout.strip() == "[2, 0, 2]", done.stderr


def test_a_clock_that_jumps_loses_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is injected: rows carry its time, but nothing waits by it and no two files have one name."""
    from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
    from tests.serving.request_log.test_recorder import log_one

    clock = [time.time_ns()]
    monkeypatch.setattr("platform_lib.serving.request_log.recorder.time.time_ns", lambda: clock[0])
    log = RequestLog(LogSettings(place=str(tmp_path), send_s=0.02, flush_s=0.05))
    for number, jump_s in enumerate([0, -86_400, 172_800, -3_600, 0]):
        clock[0] += jump_s * 10**9
        log_one(log, f"r{number}")
        wait_until(lambda number=number: log.counts.written == 2 * (number + 1))  # type: ignore[misc]
    log.close()
    assert sorted(LogFolder.at(str(tmp_path)).read(PREDICTIONS)["request_id"].to_pylist()) == sorted(
        f"r{number}" for number in range(5) for _ in "ab"
    )


class Load:
    """Threads that ask without pause until the server is gone."""

    def __init__(self, server: MoodServer, count: int) -> None:
        self.answered: list[str] = []
        self.versions: list[str] = []
        self.failed: list[str] = []
        self._server = server
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while True:
            try:
                answer = self._server.post()
            except httpx.HTTPError:
                return  # not taken: had the server answered it, the log would hold a row too many
            if answer.status_code == 200:
                self.answered.append(answer.json()["request_id"])
                self.versions.append(answer.json()["model"]["version"])
            else:
                self.failed.append(answer.text)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)


def test_sigterm_under_load_answers_whom_it_took_and_keeps_every_row_and_workers_agree_before(
    made: Moods, tmp_path: Path
) -> None:
    made.registry.promote(made.versions["1"])
    with serving(made, tmp_path / "out.txt", "--workers", "2", "--log", str(tmp_path / "log")) as server:
        wait_until(lambda: server.said().count("version 1 of") == 2)
        load = Load(server, 6)
        made.registry.promote(made.versions["2"])
        wait_until(lambda: server.said().count("version 2 of") == 2)
        load.versions.clear()  # answers under way may still be the earlier ones
        enough = len(load.answered) + 50
        wait_until(lambda: len(load.answered) >= enough)
        assert set(load.versions[12:]) == {"2"}
        server.process.terminate()
        server.process.wait(60)
    load.join()
    assert load.failed == []
    logged = LogFolder.at(str(tmp_path / "log")).read(PREDICTIONS)["request_id"].to_pylist()
    assert sorted(logged) == sorted(load.answered)


def test_sigkill_loses_no_more_than_what_was_not_sent_yet(made: Moods, tmp_path: Path) -> None:
    """The server tells the writer twenty times a second; the writer outlives it and writes all that it was told."""
    with serving(made, tmp_path / "out.txt", "--log", str(tmp_path / "log")) as server:
        early = [server.post().json()["request_id"] for _ in range(20)]
        time.sleep(2)  # the interval is the point
        late = [server.post().json()["request_id"] for _ in range(5)]
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    wait_until(lambda: is_logged(tmp_path / "log", early[-1]))
    logged = LogFolder.at(str(tmp_path / "log")).read(PREDICTIONS)["request_id"].to_pylist()
    assert set(early) <= set(logged) <= {*early, *late}
    lost = len(early) + len(late) - len(logged)
    assert 0 <= lost <= len(late)
