"""Log requests and read them back: for the tests of the request log, and for their child processes."""

import itertools
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder, prediction_schema
from platform_lib.serving.request_log.recorder import LoggedModel, RequestLog

DAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
SEQUENCE = itertools.count(1)
MODEL = LoggedModel(
    "churn", "3", "classification", {"age": "integer", "city": "string", "time": "number"}, ("no", "yes")
)


def log_one(log: RequestLog, request_id: str = "r1", model: LoggedModel = MODEL, **columns: list[Any]) -> None:
    """Log one request of two rows."""
    table: dict[str, list[Any]] = {
        **{"age": [31, None], "city": ["Bern", None], "time": [1.5, 2], "secret": ["x", "y"]},
        **columns,
    }
    log.predictions(model, request_id, "checkout", 1.25, table, ["no", "yes"], [[0.9, 0.1], [0.2, 0.8]])


def rows(folder: Path, kind: str = PREDICTIONS) -> list[dict[str, Any]]:
    """The rows in a log."""
    found: list[dict[str, Any]] = LogFolder.at(str(folder)).read(kind).to_pylist()
    return found


def writers(location: Path) -> list[psutil.Process]:
    """The running writer processes of this process for a log."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has just ended
            if child.status() != psutil.STATUS_ZOMBIE and str(location) in child.cmdline():
                found.append(child)
    return found


def write_file(
    folder: LogFolder,
    ids: list[str],
    columns: dict[str, str],
    values: dict[str, Any],
    *,
    task: str = "classification",
    day: int = 5,
) -> str:
    """Write one file as a server does; returns its path."""
    moment = DAY.replace(day=day)
    rows = [
        {"request_id": each, "row": 0, "time": moment, "prediction": 1.5 if task == "regression" else "yes", **values}
        for each in ids
    ]
    table = pa.Table.from_pylist(rows, schema=prediction_schema(columns, task))
    return folder.write(PREDICTIONS, table, moment, next(SEQUENCE))


def request_ids(folder: LogFolder) -> list[str]:
    """The request IDs of all logged predictions, sorted."""
    return sorted(row["request_id"] for row in folder.read(PREDICTIONS).to_pylist())
