"""The server's side of the request log.

Logging a batch is one list append. A thread sends batches to the writer process (`writer`), and every row is counted as
written or dropped.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any, Literal

import msgspec

LENGTH_BYTES = 4
"""Bytes of the length before each batch on the writer's stdin, big-endian."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """Location of the log, buffers, and what happens when it cannot keep up."""

    location: str
    """A folder, or `s3://bucket/prefix`."""
    policy: Literal["drop", "block"] = "drop"
    """`drop`: rows beyond the buffer are not logged, only counted. `block`: requests wait until the buffer has room."""
    buffer_rows: int = 50_000
    """Rows buffered in this process, and again in the writer process."""
    send_s: float = 0.05
    """Seconds between two sends to the writer: a killed server loses the rows of that time. Encoding delays requests,
    so small batches are better: at 14,000 requests per second, p99 is 11 ms with this value and 21 ms with 0.5 s."""
    flush_s: float = 10.0
    """Seconds between two writes: a killed writer loses the rows of that time."""
    file_rows: int = 20_000
    """Approximate rows per file: well below `buffer_rows`, so that writing frees the buffer in time."""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """What the log needs to know about the version that predicted."""

    name: str
    version: str
    task: str
    columns: Mapping[str, str]
    """Contract type by column that may be logged."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty for regression."""


@dataclass(frozen=True, slots=True)
class LogCounts:
    """Rows since the start: taken = written + dropped + still buffered."""

    taken: int
    sent: int
    """Rows sent to the writer process, whatever happened to them there."""
    written: int
    dropped: int


class RequestLog:
    """The request log of one server process. The first row starts the writer process; `close` flushes it.

    Three threads use it, and each counter is written by one of them: the event loop (`_taken`, `_refused`), the sender
    (`_sent`, `_lost`) and the reader of the writer's reports (`_written`, `_given_up`). So no request waits for a lock.
    """

    is_enabled = True

    def __init__(self, settings: LogSettings, on_drop: Callable[[int], None] = lambda rows: None) -> None:
        self._settings, self._on_drop = settings, on_drop
        self.problem: str | None = None
        """Why the writer cannot write at the moment; None if it can."""
        self._buffer: deque[tuple[LoggedModel | None, Any, int]] = deque()
        self._taken = self._refused = self._sent = self._lost = self._written = self._given_up = 0
        self._ready = Condition()
        self._closing = False
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._encoder = msgspec.msgpack.Encoder()
        self._writer: subprocess.Popen[bytes] | None = None
        self._sender = Thread(target=self._send_forever, name="request-log", daemon=True)
        self._sender.start()

    @property
    def counts(self) -> LogCounts:
        """Rows taken, written and dropped so far."""
        dropped = self._refused + self._lost + self._given_up
        return LogCounts(taken=self._taken, sent=self._sent, written=self._written, dropped=dropped)

    @property
    def _unwritten(self) -> int:
        counts = self.counts
        return counts.taken - counts.written - counts.dropped

    @property
    def _at_writer(self) -> int:
        return self._sent - self._written - self._given_up - self._lost

    def predictions(
        self,
        model: LoggedModel,
        request_id: str,
        key_name: str,
        latency_ms: float,
        columns: Mapping[str, Sequence[Any]],
        predictions: Sequence[Any],
        probabilities: Sequence[Sequence[float]] | None,
    ) -> None:
        """Log one request of n rows; see `batch`."""
        self.batch(model, [(request_id, key_name, latency_ms, len(predictions))], columns, predictions, probabilities)

    def batch(
        self,
        model: LoggedModel,
        requests: Sequence[tuple[str, str, float, int]],
        columns: Mapping[str, Sequence[Any]],
        predictions: Sequence[Any],
        probabilities: Sequence[Sequence[float]] | None,
    ) -> None:
        """Log requests that were predicted together, n rows in total.

        Columns marked `log: false` in the contract are dropped here.

        Args:
            model: The version that predicted.
            requests: Request ID, name of the API key, latency in milliseconds and number of rows of each request, in
                the order of the rows.
            columns: n values per feature.
            predictions: n predictions.
            probabilities: One list per row, in the order of the classes; None if the model has none.
        """
        rows = len(predictions)
        if self._is_full(rows):
            return
        kept = {name: columns[name] for name in model.columns}
        self._buffer.append((model, (time.time_ns() // 1000, requests, kept, predictions, probabilities), rows))

    def labels(self, labels: Sequence[tuple[str, int, str]]) -> None:
        """Log labels that arrive after the prediction: request ID, row within the request, label."""
        if self._is_full(len(labels)):
            return
        now = time.time_ns() // 1000
        rows = [
            {"request_id": request_id, "row": row, "time": now, "label": label} for request_id, row, label in labels
        ]
        self._buffer.append((None, rows, len(rows)))

    def _is_full(self, rows: int) -> bool:
        waiting = self._unwritten
        self._taken += rows
        if waiting + rows > self._settings.buffer_rows and self._settings.policy == "drop":
            self._refused += rows
            self._on_drop(rows)
            return True
        return False

    async def room(self) -> None:
        """Wait for room in the buffer with the policy `block`; return immediately with `drop`."""
        if self._settings.policy == "drop":
            return
        while self._unwritten >= self._settings.buffer_rows and not self._closing:
            waiter = (asyncio.get_running_loop(), asyncio.Event())
            self._waiters.add(waiter)
            try:
                await waiter[1].wait()
            finally:
                self._waiters.discard(waiter)

    def close(self, timeout_s: float = 30) -> None:
        """Write all rows and stop the writer. Rows that are not written within the timeout count as dropped."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._sender.join(timeout_s)
        self._wake()
        if self._writer is not None:
            self._end(self._writer, timeout_s)
        if left := self._unwritten:
            self._lost += left
            self._on_drop(left)

    def _end(self, writer: "subprocess.Popen[bytes]", timeout_s: float) -> None:
        with contextlib.suppress(OSError, ValueError):
            assert writer.stdin is not None
            writer.stdin.close()
        try:
            writer.wait(timeout_s)
        except subprocess.TimeoutExpired:
            writer.kill()
            writer.wait()
        self._reports.join(5)

    def _send_forever(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # the writer inherits it: SIGTERM cannot end it while it still starts
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        closing = False
        while not (closing and not self._buffer):
            with self._ready:
                self._ready.wait(0.001 if self._closing else self._settings.send_s)
                closing = self._closing
            writer = self._writer
            if writer is None:
                if not self._buffer:
                    continue  # without a writer, an unused server starts faster and needs less memory
                writer = self._writer = self._start_writer()
            elif writer.poll() is not None:
                if closing:
                    return
                writer = self._writer = self._next_writer(writer.returncode)
            # Rows beyond the writer's buffer stay here, where the policy applies to them.
            if self._at_writer < self._settings.buffer_rows:
                self._send(writer)

    def _send(self, writer: "subprocess.Popen[bytes]") -> None:
        groups: dict[int, tuple[LoggedModel | None, list[Any], int]] = {}
        for _ in range(len(self._buffer)):
            model, record, rows = self._buffer.popleft()
            _, records, count = groups.get(id(model), (model, [], 0))
            records.append(record)
            groups[id(model)] = (model, records, count + rows)
        for model, records, rows in groups.values():
            self._sent += rows
            try:
                batch = self._batch(model, records)
            except Exception:
                # Validated rows can always be encoded; if one cannot, the log must continue for all others.
                _log.exception("%s rows cannot be sent to the request log's writer", rows)
                self._lost += rows
                self._on_drop(rows)
                continue
            # If the writer died, the next iteration notices it and counts its rows.
            with contextlib.suppress(OSError, ValueError):
                assert writer.stdin is not None
                writer.stdin.write(len(batch).to_bytes(LENGTH_BYTES, "big") + batch)
                writer.stdin.flush()

    def _batch(self, model: LoggedModel | None, records: list[Any]) -> bytes:
        if model is None:
            return self._encoder.encode({"kind": "labels", "rows": [row for rows in records for row in rows]})
        return self._encoder.encode(
            {
                "kind": "predictions",
                "model": model.name,
                "version": model.version,
                "task": model.task,
                "columns": dict(model.columns),
                "classes": model.classes,
                "records": records,
            }
        )

    def _start_writer(self) -> "subprocess.Popen[bytes]":
        settings = self._settings
        arguments = [settings.location, settings.flush_s, settings.file_rows, settings.buffer_rows]
        # In a process group of its own: Ctrl-C must reach only the server, which then closes the pipe.
        group = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}  # on Windows
        flags: dict[str, Any] = group if os.name == "nt" else {"start_new_session": True}
        command = [sys.executable, "-m", "platform_lib.serving.request_log", *map(str, arguments)]
        environment = {"ARROW_DEFAULT_MEMORY_POOL": "system", **os.environ}  # Arrow's default pool needs 6 MiB more
        writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, **flags)
        self._reports = Thread(target=self._read_reports, args=(writer,), name="request-log-reports", daemon=True)
        self._reports.start()
        return writer

    def _next_writer(self, exit_code: int) -> "subprocess.Popen[bytes]":
        self._reports.join(1)
        lost = self._at_writer
        self._lost += lost
        self._on_drop(lost)
        _log.error("the log's writer died with exit code %s; %s rows are lost. A new writer starts", exit_code, lost)
        return self._start_writer()

    def _read_reports(self, writer: "subprocess.Popen[bytes]") -> None:
        assert writer.stdout is not None
        for line in writer.stdout:
            report = json.loads(line)
            if report["problem"] and report["problem"] != self.problem:
                _log.error("the request log cannot be written to %s: %s", self._settings.location, report["problem"])
            self.problem = report["problem"]
            self._written += report["written"]
            self._given_up += report["dropped"]
            if report["dropped"]:
                self._on_drop(report["dropped"])
            self._wake()

    def _wake(self) -> None:
        for loop, event in list(self._waiters):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)
