"""The request log with its real writer process: which rows are kept, or lost and counted, and when."""

import asyncio
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from platform_lib.errors import NotFound, UsageError
from platform_lib.serving.http.app import create_app
from platform_lib.serving.request_log.files import LABELS, PREDICTIONS, LogFolder
from platform_lib.serving.request_log.recorder import LoggedModel, LogSettings, RequestLog
from tests.serving.live import live
from tests.serving.request_log.logged import MODEL, log_one, rows, writers
from tests.serving.sample_models import FixedSource, fitted, loaded
from tests.serving.sample_models import rows as honest_rows
from tests.waiting import wait_until

pytestmark = pytest.mark.slow  # each test starts a writer process, a second or so


def test_a_graceful_stop_loses_nothing(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path)))
    for number in range(500):
        log_one(log, f"r{number}")
    log.close()
    assert log.counts.written == 1000
    assert {row["request_id"] for row in rows(tmp_path)} == {f"r{number}" for number in range(500)}


def test_a_row_is_stored_as_received_with_its_prediction(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path)))
    log_one(log)
    log.close()
    first, second = rows(tmp_path)
    assert {name: value for name, value in first.items() if name != "time"} == {
        "request_id": "r1",
        "row": 0,
        "model": "churn",
        "version": "3",
        "key_name": "checkout",
        "latency_ms": 1.25,
        "age": 31,
        "city": "Bern",
        "feature_time": 1.5,
        "prediction": "no",
        "probabilities": [("no", 0.9), ("yes", 0.1)],
    }
    assert (second["row"], second["age"], second["city"]) == (1, None, None)
    assert abs(first["time"].timestamp() - time.time()) < 60


def test_batched_requests_keep_their_own_ids_and_rows(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path)))
    columns = {"age": (31, 3.0, None), "city": ("Bern", None, "Genf"), "time": (1, 2.5, None)}
    log.batch(
        MODEL,
        [("r1", "a", 1.0, 1), ("r2", "b", 2.0, 2)],
        columns,
        ["no", "yes", "no"],
        [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]],
    )
    log.close()
    kept = [
        (row["request_id"], row["row"], row["key_name"], row["latency_ms"], row["age"], row["city"], row["prediction"])
        for row in rows(tmp_path)
    ]
    assert kept == [
        ("r1", 0, "a", 1.0, 31, "Bern", "no"),
        ("r2", 0, "b", 2.0, 3, None, "yes"),
        ("r2", 1, "b", 2.0, None, "Genf", "no"),
    ]


def test_an_unlogged_column_is_nowhere_in_the_files(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path)))
    log_one(log, secret=["s3cr3t-value", "s3cr3t-value"])
    log.close()
    assert all(b"s3cr3t-value" not in file.read_bytes() for file in tmp_path.rglob("*.parquet"))
    assert "secret" not in rows(tmp_path)[0]


def test_files_are_in_one_folder_per_day(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path)))
    log_one(log)
    log.close()
    (file,) = tmp_path.rglob("*.parquet")
    assert file.parent.name == f"date={time.strftime('%Y-%m-%d', time.gmtime())}"


def test_versions_with_other_columns_are_read_as_one_table(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path)))
    log_one(log, "old")
    newer = LoggedModel("churn", "4", "classification", {"age": "number", "plan": "string"}, MODEL.classes)
    log_one(log, "new", newer, age=[1.5, 2.5], plan=["a", "b"])
    log.close()
    by_id = {(row["request_id"], row["row"]): row for row in rows(tmp_path)}
    assert (by_id["old", 0]["age"], by_id["old", 0]["plan"]) == (31.0, None)
    assert (by_id["new", 0]["age"], by_id["new", 0]["city"]) == (1.5, None)


def test_labels_are_stored_next_to_the_predictions(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path)))
    log.labels([("r1", 0, "no"), ("r1", 1, "no")])
    log.close()
    assert [(row["request_id"], row["row"], row["label"]) for row in rows(tmp_path, LABELS)] == [
        ("r1", 0, "no"),
        ("r1", 1, "no"),
    ]


def test_rows_are_written_while_the_server_runs(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path), send_s=0.05, flush_s=0.1))
    try:
        log_one(log)
        wait_until(lambda: log.counts.written == 2)
        assert len(rows(tmp_path)) == 2
    finally:
        log.close()


def test_a_killed_server_loses_only_rows_that_it_had_not_sent(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import os, sys, time
        from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
        from tests.serving.request_log.logged import log_one
        log = RequestLog(LogSettings(location={str(tmp_path)!r}, send_s=0.05, flush_s=60))
        for number in range(50): log_one(log, f"sent-{{number}}")
        while log._buffer: time.sleep(0.01)
        time.sleep(0.3)
        os.kill(os.getpid(), 9)
    """)
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    wait_until(lambda: any(tmp_path.rglob("*.parquet")))
    assert len(rows(tmp_path)) == 100


def test_the_writer_starts_with_the_first_row(tmp_path: Path) -> None:
    idle = RequestLog(LogSettings(location=str(tmp_path / "idle"), send_s=0.01))
    log = RequestLog(LogSettings(location=str(tmp_path / "log"), send_s=0.01))
    log_one(log, "first")
    wait_until(lambda: writers(tmp_path / "log"))
    assert writers(tmp_path / "idle") == []
    idle.close()
    log.close()
    assert len(rows(tmp_path / "log")) == 2
    assert not (tmp_path / "idle").exists()


def test_a_killed_writer_is_replaced_and_its_rows_are_counted(tmp_path: Path) -> None:
    drops: list[int] = []
    log = RequestLog(LogSettings(location=str(tmp_path), send_s=0.05, flush_s=60), on_drop=drops.append)
    log_one(log, "lost")
    wait_until(lambda: log.counts.sent == 2)
    (old,) = writers(tmp_path)
    old.kill()
    wait_until(lambda: [each.pid for each in writers(tmp_path) if each.pid != old.pid])
    log_one(log, "kept")
    log.close()
    assert sum(drops) == log.counts.dropped == 2
    assert {row["request_id"] for row in rows(tmp_path)} == {"kept"}


def test_a_location_that_cannot_be_written_is_reported_until_it_can(tmp_path: Path) -> None:
    place = tmp_path / "log"
    place.write_text("a file where the folder should be")
    log = RequestLog(LogSettings(location=str(place), send_s=0.05, flush_s=0.1))
    log_one(log)
    wait_until(lambda: log.problem is not None)
    place.unlink()
    wait_until(lambda: log.counts.written == 2)
    log.close()
    assert log.counts.dropped == 0
    assert len(rows(place)) == 2


def test_rows_beyond_the_buffer_are_dropped_and_counted(tmp_path: Path) -> None:
    place = tmp_path / "log"
    place.write_text("no folder")
    drops: list[int] = []
    log = RequestLog(LogSettings(location=str(place), buffer_rows=10, send_s=0.05, flush_s=0.1), on_drop=drops.append)
    for number in range(50):
        log_one(log, f"r{number}")
    log.close(timeout_s=5)
    counts = log.counts
    assert (counts.taken, counts.written, counts.dropped) == (100, 0, 100)
    assert sum(drops) == 100


def test_a_row_that_cannot_be_stored_is_counted_and_affects_no_other_row(tmp_path: Path) -> None:
    log = RequestLog(LogSettings(location=str(tmp_path), send_s=0.05, flush_s=0.1))
    log_one(log, "before")
    log_one(log, "impossible", age=["no number", 1])
    wait_until(lambda: log.counts.written == 3)
    log_one(log, "unspeakable", age=[2**70, 1])
    wait_until(lambda: log.counts.dropped == 3)
    log_one(log, "after")
    log.close()
    assert log.counts.written == 5
    assert [row["request_id"] for row in rows(tmp_path)] == ["before", "before", "impossible", "after", "after"]


def test_with_block_a_request_waits_for_room(tmp_path: Path) -> None:
    place = tmp_path / "log"
    place.write_text("no folder yet")
    log = RequestLog(LogSettings(location=str(place), policy="block", buffer_rows=4, send_s=0.02, flush_s=0.05))

    async def scenario() -> None:
        log_one(log, "a")
        log_one(log, "b")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(log.room(), 0.3)
        place.unlink()
        await asyncio.wait_for(log.room(), 30)

    asyncio.run(scenario())
    log.close()
    assert log.counts.dropped == 0
    assert len(rows(place)) == 4


@pytest.mark.parametrize("policy", ["drop", "block"])
def test_over_http_a_full_log_drops_and_counts_rows_or_blocks(tmp_path: Path, policy: Literal["drop", "block"]) -> None:
    place = tmp_path / "log"
    place.write_text("no folder yet")
    log = RequestLog(LogSettings(location=str(place), policy=policy, buffer_rows=2, send_s=0.02, flush_s=0.05))
    with (
        live(create_app(FixedSource(loaded(fitted())), request_log=log)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        body = {"rows": honest_rows(2)}
        assert client.post("/predict", json=body).status_code == 200  # fills the log
        wait_until(lambda: log.problem is not None)
        if policy == "drop":
            assert client.post("/predict", json=body).status_code == 200
            assert log.counts.dropped == 2
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post("/predict", json=body, timeout=0.5)
        place.unlink()
        wait_until(lambda: log.counts.written >= 2)
        assert client.post("/predict", json=body).status_code == 200
    log.close()
    assert log.counts.dropped == (2 if policy == "drop" else 0)
    assert log.counts.written == log.counts.taken - log.counts.dropped


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_sigterm_at_the_writers_first_instruction_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def terminated(*args: Any, **kwargs: Any) -> "subprocess.Popen[bytes]":
        process = popen(*args, **kwargs)
        process.terminate()
        return process

    monkeypatch.setattr(subprocess, "Popen", terminated)
    log = RequestLog(LogSettings(location=str(tmp_path), send_s=0.05, flush_s=60))
    log_one(log)
    wait_until(lambda: log.counts.sent == 2)
    log.close()
    assert len(rows(tmp_path)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX process groups")
def test_ctrl_c_in_the_terminal_loses_nothing(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import os, signal, time
        from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
        from tests.serving.request_log.logged import log_one
        log = RequestLog(LogSettings(location={str(tmp_path)!r}, send_s=0.05, flush_s=60))
        log_one(log)
        try:
            os.killpg(0, signal.SIGINT)
            time.sleep(30)
        except KeyboardInterrupt:
            log.close()
    """)
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], start_new_session=True, check=True)
    assert len(rows(tmp_path)) == 2


def test_an_empty_location_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no predictions are logged"):
        LogFolder.at(str(tmp_path / "none")).read(PREDICTIONS)


def test_an_unknown_location_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a folder or s3://"):
        LogFolder.at("ftp://host/log")
