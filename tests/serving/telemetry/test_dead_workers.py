"""A worker that is killed leaves no requests in flight and no other gauges behind; its counters stay."""

import contextlib
import os
import signal
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from tests.serving.people_server import PeopleServer, people_server
from tests.serving.sample_models import rows
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow]


def workers(server: PeopleServer) -> dict[int, Path]:
    """The gauge files of requests in flight, by worker."""
    folder = psutil.Process(server.process.pid).environ().get("PROMETHEUS_MULTIPROC_DIR")
    assert folder is not None
    return {int(file.stem.rpartition("_")[2]): file for file in Path(folder).glob("gauge_livesum_*.db")}


def test_a_killed_worker_has_nothing_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    stopping = threading.Event()

    def ask(url: str) -> None:
        with httpx.Client(timeout=5) as client:
            while not stopping.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    client.post(f"{url}/predict", json={"rows": rows(2000)})

    with people_server(tmp_path / "server", "--workers", "2") as server:
        threads = [threading.Thread(target=ask, args=(server.url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            both = wait_until(lambda: found if len(found := workers(server)) == 2 else None, "two workers")
            wait_until(lambda: server.metric("mlp_requests_total") > 10, "load")
            killed = next(iter(both))
            os.kill(killed, signal.SIGSTOP)  # so that it holds requests, whenever it is killed
            wait_until(lambda: server.metric("mlp_in_flight") > 0, "requests in flight")
            os.kill(killed, signal.SIGKILL)
        finally:
            stopping.set()
            for thread in threads:
                thread.join(60)
        counted = server.metric("mlp_requests_total")
        wait_until(lambda: server.metric("mlp_in_flight") == 0, "nothing in flight", timeout_s=60)
        assert killed not in workers(server)
        assert counted > 10
        assert server.metric("mlp_requests_total") >= counted
