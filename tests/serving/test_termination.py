"""SIGTERM and SIGKILL while requests are in flight: which responses and which logged rows survive."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from tests.serving.faulty import (
    FaultyProject,
    RunningServer,
    faulty_project,
    is_logged,
    serving,
)
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
