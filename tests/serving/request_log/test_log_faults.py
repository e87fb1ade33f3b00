"""The request log when S3 refuses requests or the clock jumps."""

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
from tests.serving.request_log.logged import log_one
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("status", [403, 503])
def test_a_refusing_s3_is_reported_and_its_rows_count_as_dropped(status: int, tmp_path: Path) -> None:
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
        "from tests.serving.request_log.logged import log_one\n"
        "log = RequestLog(LogSettings(location='s3://bucket/logs', send_s=0.05, flush_s=0.1))\n"
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
            cwd=Path(__file__).parents[3],
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
    """Rows carry the time of the injected clock, but no interval depends on it, and file names stay unique."""
    clock = [time.time_ns()]
    monkeypatch.setattr("platform_lib.serving.request_log.recorder.time.time_ns", lambda: clock[0])
    log = RequestLog(LogSettings(location=str(tmp_path), send_s=0.02, flush_s=0.05))
    for number, jump_s in enumerate([0, -86_400, 172_800, -3_600, 0]):
        clock[0] += jump_s * 10**9
        log_one(log, f"r{number}")
        wait_until(lambda number=number: log.counts.written == 2 * (number + 1))  # type: ignore[misc]
    log.close()
    assert sorted(LogFolder.at(str(tmp_path)).read(PREDICTIONS)["request_id"].to_pylist()) == sorted(
        f"r{number}" for number in range(5) for _ in "ab"
    )
