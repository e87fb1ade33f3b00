"""SIGTERM and SIGKILL while requests are in flight: which responses and which logged rows survive."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from platform_lib.infra.model.pod import pod_template
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from platform_lib.serving.server import graceful_s
from platform_lib.serving.settings import REQUEST_TIMEOUT_S, WorkerOptions
from tests.serving.faulty import (
    FaultyProject,
    RunningServer,
    faulty_project,
    is_logged,
    serving,
)
from tests.serving.people_server import PeopleServer, people_server
from tests.serving.sample_models import rows
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals, process groups and mounts of POSIX"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProject]:
    with faulty_project(tmp_path_factory.mktemp("faulty"), 2) as made:
        yield made


class Load:
    """Threads that send requests without pause until the server is gone."""

    def __init__(self, server: RunningServer, count: int) -> None:
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
                return  # not accepted: if it had been, the log would hold one row too many
            if answer.status_code == 200:
                self.answered.append(answer.json()["request_id"])
                self.versions.append(answer.json()["model"]["version"])
            else:
                self.failed.append(answer.text)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)


def test_sigterm_under_load_completes_accepted_requests_and_logs_every_row(made: FaultyProject, tmp_path: Path) -> None:
    made.registry.promote(made.versions["1"])
    with serving(made, tmp_path / "out.txt", "--workers", "2", "--log", str(tmp_path / "log")) as server:
        wait_until(lambda: server.said().count("version 1 of") == 2)
        load = Load(server, 6)
        made.registry.promote(made.versions["2"])
        wait_until(lambda: server.said().count("version 2 of") == 2)
        load.versions.clear()  # responses in flight may still be from version 1
        enough = len(load.answered) + 50
        wait_until(lambda: len(load.answered) >= enough)
        assert set(load.versions[12:]) == {"2"}
        server.process.terminate()
        server.process.wait(60)
    load.join()
    assert load.failed == []
    logged = LogFolder.at(str(tmp_path / "log")).read(PREDICTIONS)["request_id"].to_pylist()
    assert sorted(logged) == sorted(load.answered)


def test_sigkill_loses_only_rows_that_were_not_sent(made: FaultyProject, tmp_path: Path) -> None:
    """The server sends rows to the writer 20 times per second; the writer outlives it and writes them."""
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


BODY = json.dumps({"rows": rows(1)}).encode()


def half_sent(server: PeopleServer) -> socket.socket:
    """A connection whose request is accepted, but whose body has not arrived."""
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=60)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(BODY))
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    return connection


def is_refusing(server: PeopleServer) -> bool:
    address = urlsplit(server.url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=60).close()
    except ConnectionError:
        return True
    return False


def rest(connection: socket.socket) -> bytes:
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def test_after_sigterm_nobody_new_is_let_in_and_a_request_in_flight_is_answered(tmp_path: Path) -> None:
    with people_server(tmp_path) as server, closing(half_sent(server)) as connection:
        server.process.terminate()
        wait_until(lambda: is_refusing(server))
        connection.sendall(BODY)
        answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert server.process.wait(60) == 0


def test_a_request_that_outlasts_the_shutdown_gets_a_problem_and_no_traceback(tmp_path: Path) -> None:
    before = "from platform_lib.serving import settings; settings.SHUTDOWN_MARGIN_S = 0"
    arguments = ("--request-timeout-s", "0.5", "--body-timeout-s", "100")
    with people_server(tmp_path, *arguments, before=before) as server, closing(half_sent(server)) as connection:
        server.process.terminate()
        head, _, document = rest(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in head
        assert json.loads(document)["detail"] == "the server stopped before the prediction was ready. Retry."
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.log()


def test_the_pods_grace_covers_a_request_and_what_follows() -> None:
    pod = pod_template(
        labels={}, selector={}, service_account="a", image="a", command=[], environment=[], keys_config_map="a",
        cpu_request="1", cpu_limit="1", memory="1Gi",
    )["spec"]  # fmt: skip
    drain_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    shutdown_s = graceful_s(WorkerOptions(reference="", tracking_uri=""))
    assert shutdown_s > REQUEST_TIMEOUT_S
    assert pod["terminationGracePeriodSeconds"] - drain_s - shutdown_s >= 5  # for the log and the last spans
