"""The writer process of the request log: batches on stdin, Parquet files out.

After each flush it prints one JSON line with the number of rows written and dropped. At the end of input, even of a
killed server, it writes the remaining rows and exits. `recorder` starts the process and sends the batches.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, Queue
from threading import Thread
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from platform_lib.serving.request_log.files import LABEL_SCHEMA, LABELS, LogFolder, logged_name, prediction_schema
from platform_lib.serving.request_log.recorder import LENGTH_BYTES
from platform_lib.storage_errors import storage_error


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one kind and schema, which fit in one file."""

    kind: str
    schema: pa.Schema
    tables: list[pa.Table]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(len(table) for table in self.tables)


@dataclass
class Writer:
    """Collects rows and writes them every `flush_s` seconds or `file_rows` rows."""

    folder: LogFolder
    flush_s: float
    file_rows: int
    keep_rows: int
    """Rows kept while writing fails; beyond that, the oldest rows are dropped and counted."""
    groups: list[Group] = field(default_factory=list)
    sequence: int = 0
    kept_since: float = 0.0
    unfit: int = 0
    """Rows since the last report that fit no table."""

    @property
    def rows(self) -> int:
        """Number of rows that are not written yet."""
        return sum(group.rows for group in self.groups)

    def add(self, batch: dict[str, Any]) -> None:
        """Add a batch from `recorder`."""
        if not self.groups:
            self.kept_since = time.monotonic()
        if batch["kind"] == LABELS:
            schema = LABEL_SCHEMA
            table, unfit_rows = fitting_table(batch["rows"], schema)
        else:
            schema = prediction_schema(batch["columns"], batch["task"])
            table, unfit_rows = prediction_table(batch, schema)
        self.unfit += unfit_rows
        for group in self.groups:
            if group.kind == batch["kind"] and group.schema.equals(schema):
                group.tables.append(table)
                return
        self.groups.append(Group(batch["kind"], schema, [table]))

    def is_due(self) -> bool:
        """Return whether it is time to flush."""
        return bool(self.groups) and (self.rows >= self.file_rows or time.monotonic() - self.kept_since >= self.flush_s)

    def flush(self) -> dict[str, Any]:
        """Write all rows and return a report. After an error, the rest waits for the next flush, up to `keep_rows`.

        Returns:
            `written` and `dropped`: rows since the last report; `problem`: why writing failed, or None.
        """
        written, problem = 0, None
        while self.groups and problem is None:
            group = self.groups[0]
            try:
                table = pa.concat_tables(group.tables)
                if len(table):
                    self.folder.write(group.kind, table, datetime.now(UTC), self.sequence)
            except (OSError, pa.ArrowException) as err:
                known = storage_error(err, file=self.folder.path)
                reason = known.problem if known else f"{type(err).__name__}: {err}."
                problem = f"{reason} The latest {self.keep_rows} rows wait in memory until writing works again."
            else:
                self.sequence += 1
                written += len(table)
                self.groups.pop(0)
        self.kept_since = time.monotonic()
        unfit, self.unfit = self.unfit, 0
        return {"written": written, "dropped": unfit + self._drop_oldest(), "problem": problem}

    def _drop_oldest(self) -> int:
        over = dropped = max(0, self.rows - self.keep_rows)
        while over:
            oldest = self.groups[0].tables
            gone = min(over, len(oldest[0]))
            oldest[0] = oldest[0].slice(gone)
            over -= gone
            if not len(oldest[0]):
                oldest.pop(0)
            if not oldest:
                self.groups.pop(0)
        return dropped


_UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)


def fitting_table(rows: list[dict[str, Any]], schema: pa.Schema) -> tuple[pa.Table, int]:
    """Convert rows to a table and count the rows that do not fit the schema.

    Without this, one invalid value would block all other rows forever.
    """
    try:
        return pa.Table.from_pylist(rows, schema=schema), 0
    except _UNFIT:
        fitting = [row for row in rows if _fits(row, schema)]
        return pa.Table.from_pylist(fitting, schema=schema), len(rows) - len(fitting)


def _fits(row: dict[str, Any], schema: pa.Schema) -> bool:
    try:
        pa.Table.from_pylist([row], schema=schema)
    except _UNFIT:
        return False
    return True


def prediction_table(batch: dict[str, Any], schema: pa.Schema) -> tuple[pa.Table, int]:
    """Convert a batch of predictions to a table, by column; only by row if a value does not fit."""
    try:
        columns = prediction_columns(batch)
        maps = probability_maps(batch["classes"], columns.pop("probabilities"))
        arrays = {
            field.name: pa.array(columns[field.name], type=field.type) for field in schema if field.name in columns
        }
        return pa.Table.from_arrays([arrays.get(field.name, maps) for field in schema], schema=schema), 0
    except _UNFIT:
        columns = prediction_columns(batch)
        columns["probabilities"] = probability_maps(batch["classes"], columns["probabilities"]).to_pylist()
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return fitting_table(rows, schema)


def prediction_columns(batch: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the values of each column of the file. A record of the batch holds requests predicted together."""
    names = {name: logged_name(name) for name in batch["columns"]}
    out: dict[str, list[Any]] = {name: [] for name in ("request_id", "row", "time", "key_name", "latency_ms")}
    out |= {name: [] for name in (*names.values(), "prediction", "probabilities")}
    is_text = batch["task"] != "regression"
    for time_us, requests, columns, predictions, probabilities in batch["records"]:
        for request_id, key_name, latency_ms, count in requests:
            out["request_id"] += [request_id] * count
            out["row"] += range(count)
            out["key_name"] += [key_name] * count
            out["latency_ms"] += [latency_ms] * count
        rows = len(predictions)
        out["time"] += [time_us] * rows
        for name, kind in batch["columns"].items():
            values = columns.get(name, [None] * rows)
            out[names[name]] += [_whole(value) for value in values] if kind == "integer" else values
        out["prediction"] += (
            [str(value) for value in predictions] if is_text else [float(value) for value in predictions]
        )
        out["probabilities"] += probabilities or [None] * rows
    rows = len(out["row"])
    return out | {"model": [batch["model"]] * rows, "version": [batch["version"]] * rows}


def probability_maps(classes: list[str], rows: list[list[float] | None]) -> pa.Array:
    """Return a map from class to probability for each row; null if a row has not one probability per class."""
    width = len(classes)
    starts: list[int | None] = []
    items: list[float] = []
    for row in rows:
        is_given = row is not None and len(row) == width > 0
        starts.append(len(items) if is_given else None)
        items += row if is_given and row is not None else ()
    keys = pa.array(list(classes) * (len(items) // width if width else 0), pa.string())
    return pa.MapArray.from_arrays(pa.array([*starts, len(items)], pa.int32()), keys, pa.array(items, pa.float64()))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_batches(stream: BinaryIO, queue: "Queue[dict[str, Any] | None]") -> None:
    decoder = msgspec.msgpack.Decoder()
    while True:
        head = stream.read(LENGTH_BYTES)
        body = stream.read(int.from_bytes(head, "big")) if len(head) == LENGTH_BYTES else b""
        if not body or len(body) < int.from_bytes(head, "big"):
            queue.put(None)  # end of input, or the server was killed in the middle of a batch
            return
        queue.put(decoder.decode(body))


def main() -> None:
    """Run until the end of input. Arguments: location, flush_s, file_rows, keep_rows."""
    location, flush_s, file_rows, keep_rows = sys.argv[1:]
    writer = Writer(LogFolder.at(location), float(flush_s), int(file_rows), int(keep_rows))
    queue: Queue[dict[str, Any] | None] = Queue(maxsize=64)
    Thread(target=_read_batches, args=(sys.stdin.buffer, queue), daemon=True).start()
    open_input = True
    while open_input:
        try:
            batch = queue.get(timeout=min(0.2, writer.flush_s))
            if batch is None:
                open_input = False
            else:
                writer.add(batch)
        except Empty:
            pass
        if writer.is_due() or not open_input:
            report = writer.flush()
            if not open_input:
                report["dropped"] += writer.rows
            try:
                print(json.dumps(report), flush=True)
            except BrokenPipeError:
                sys.stdout = None  # type: ignore[assignment]  # the server is gone; keep writing the rows that it sent
