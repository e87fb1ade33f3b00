"""The request log in S3, from the HTTP request to the merged file.

Uses the real writer process and moto's S3 server.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from platform_lib.cli.serving.log import command
from platform_lib.serving.http.app import create_app
from platform_lib.serving.request_log.compaction import compact
from platform_lib.serving.request_log.files import LABELS, PREDICTIONS, LogFolder
from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
from tests.serving.live import live
from tests.serving.sample_models import FixedSource, fitted, loaded, rows
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
BUCKET = "logs"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of a bucket.

    Its address and credentials are in the environment, where servers and commands look for them.
    """
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(os.environ)
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true"}
    try:
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket=BUCKET)
        yield client
    finally:
        os.environ.clear()
        os.environ |= before
        server.stop()


def keys(s3: Any, prefix: str) -> list[str]:
    found = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]
    return [
        key for key in found if not key.endswith("/")
    ]  # pyarrow writes a marker object when it deletes files from a folder


def test_requests_predictions_and_labels_are_in_the_bucket_without_unlogged_columns(s3: Any) -> None:
    place = f"s3://{BUCKET}/whole"
    log = RequestLog(LogSettings(location=place, send_s=0.05, flush_s=0.2))
    secret = "s3cr3t-of-a-person"
    with live(create_app(FixedSource(loaded(fitted(), version="7")), request_log=log)) as url:
        some = [{**row, "secret": secret} for row in rows(3)]
        answer = httpx.post(f"{url}/predict", json={"rows": some}, timeout=60).json()
        told = [
            {"request_id": answer["request_id"], "row": number, "label": label}
            for number, label in enumerate(["yes", True, 1.5])
        ]
        assert httpx.post(f"{url}/labels", json={"labels": told}, timeout=60).json() == {"accepted": 3}
        wait_until(lambda: log.counts.written == 6)  # the timer triggers the write; the server still runs
    log.close()
    assert (log.counts.taken, log.counts.dropped, log.problem) == (6, 0, None)

    folder = LogFolder.at(place)
    found = folder.read(PREDICTIONS).to_pylist()
    assert [(row["request_id"], row["row"], row["version"], row["age"], row["prediction"]) for row in found] == [
        (answer["request_id"], number, "7", row["age"], label)
        for number, (row, label) in enumerate(zip(some, answer["predictions"], strict=True))
    ]
    assert [(row["row"], row["label"]) for row in folder.read(LABELS).to_pylist()] == [
        (0, "yes"),
        (1, "true"),
        (2, "1.5"),
    ]
    assert "secret" not in found[0]
    objects = keys(s3, "whole/")
    assert all("/date=" in key and key.endswith(".parquet") for key in objects), objects
    assert not [key for key in objects if secret.encode() in s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()]


def test_many_small_objects_become_one_per_day_and_the_commands_read_them(s3: Any) -> None:
    place = f"s3://{BUCKET}/small"
    for number in range(3):
        log = RequestLog(LogSettings(location=place))
        log.labels([(f"r{number}", 0, "yes")])
        log.close()
        assert log.counts.written == 1
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert compact(LogFolder.at(place), LABELS, today=tomorrow) == (3, 1)
    (merged,) = keys(s3, "small/labels/")
    assert merged.rsplit("/", 1)[1].startswith("merged-")
    shown = CliRunner().invoke(command, ["show", place, "--labels", "--last", "2"])
    assert shown.exit_code == 0, shown.output
    assert [line.split('"')[3] for line in shown.stdout.splitlines()] == ["r1", "r2"]
    assert CliRunner().invoke(command, ["compact", place]).stdout.endswith("labels: 1 files before, 1 after.\n")


def test_a_refusing_bucket_is_reported_and_nothing_is_lost_once_it_recovers(s3: Any) -> None:
    place = f"s3://{BUCKET}-later/log"
    log = RequestLog(LogSettings(location=place, send_s=0.05, flush_s=0.2))
    log.labels([("r1", 0, "yes")])
    wait_until(lambda: log.problem is not None)
    s3.create_bucket(Bucket=f"{BUCKET}-later")
    wait_until(lambda: log.counts.written == 1)
    log.close()
    assert [row["label"] for row in LogFolder.at(place).read(LABELS).to_pylist()] == ["yes"]
