"""What the server tells its log: a list append on the hot path, batches to the writer process from a thread, and every row accounted for.

The process that writes is `log_writer`; what its files look like, `log_files`.
"""

import asyncio
import contextlib
import json
import logging
import os
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
"""Each batch to the writer is preceded by its length, big-endian."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """Where the log goes, and what happens when it cannot keep up."""

    place: str
    """A folder, or `s3://bucket/prefix`."""
    policy: Literal["drop", "block"] = "drop"
    """`drop`: requests are answered and what the log cannot take is counted. `block`: requests wait for the log."""
    buffer_rows: int = 50_000
    """Rows that may wait for the writer, in this process and, apart, in the writer's."""
    send_s: float = 0.05
    """Rows leave this process at least so often: what a kill of the server loses. Encoding them holds up requests, so often a few is better than
    seldom many: at 14,000 requests a second the 99th percentile is 11 ms with this value and 21 ms with half a second."""
    flush_s: float = 10.0
    """Rows reach the place at least so often: what a kill of the writer loses."""
    file_rows: int = 20_000
    """A file holds about so many: well below `buffer_rows`, so that what is written makes room in time."""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """What the log must know of the version that answered."""

    name: str
    version: str
    task: str
    columns: Mapping[str, str]
    """Contract type per column that may be logged."""
    classes: tuple[str, ...] = ()
    """Their names; none for regression."""


@dataclass(frozen=True, slots=True)
class LogCounts:
    """Rows since the start: taken = written + dropped + still waiting."""

    taken: int
    written: int
    dropped: int


class RequestLog:
    """The server's side of its log. Made once a process; `close` flushes it. The writer's process starts with the first row.

    Three threads touch it, and each counter has one that writes it: the event loop (`_taken`, `_refused`), the sender (`_sent`, `_lost`) and the
    reader of the writer's accounts (`_written`, `_given_up`). So no request ever waits for a lock.
    """

    def __init__(self, settings: LogSettings, on_drop: Callable[[int], None] = lambda rows: None) -> None:
        self._settings, self._on_drop = settings, on_drop
        self.problem: str | None = None
        """Why the writer cannot write now; None when it can."""
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
        """What became of the rows until now."""
        return LogCounts(taken=self._taken, written=self._written, dropped=self._refused + self._lost + self._given_up)

    @property
    def _waiting(self) -> int:
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
        """Log one answered request of n rows. Columns that the contract keeps out of the log never leave this call."""
        self.batch(model, [(request_id, key_name, latency_ms, len(predictions))], columns, predictions, probabilities)

    def batch(
        self,
        model: LoggedModel,
        requests: Sequence[tuple[str, str, float, int]],
        columns: Mapping[str, Sequence[Any]],
        predictions: Sequence[Any],
        probabilities: Sequence[Sequence[float]] | None,
    ) -> None:
        """Log requests that were answered together, n rows in all. Columns that the contract keeps out of the log never leave this call.

        Args:
            requests: Request id, the key's name, milliseconds and the number of rows of each, in the order of the rows.
            columns: n values a feature.
            predictions: n answers.
            probabilities: One list a row, in the order of the classes; None where the model has none.
        """
        rows = len(predictions)
        if self._is_full(rows):
            return
        kept = {name: columns[name] for name in model.columns}
        self._buffer.append((model, (time.time_ns() // 1000, requests, kept, predictions, probabilities), rows))

    def labels(self, labels: Sequence[tuple[str, int, str]]) -> None:
        """Log late truth: request id, row of the request, label."""
        if self._is_full(len(labels)):
            return
        now = time.time_ns() // 1000
        rows = [
            {"request_id": request_id, "row": row, "time": now, "label": label} for request_id, row, label in labels
        ]
        self._buffer.append((None, rows, len(rows)))

    def _is_full(self, rows: int) -> bool:
        waiting = self._waiting
        self._taken += rows
        if waiting + rows > self._settings.buffer_rows and self._settings.policy == "drop":
            self._refused += rows
            self._on_drop(rows)
            return True
        return False

    async def room(self) -> None:
        """With the policy `block`: return when the log can take more; otherwise at once."""
        if self._settings.policy == "drop":
            return
        while self._waiting >= self._settings.buffer_rows and not self._closing:
            waiter = (asyncio.get_running_loop(), asyncio.Event())
            self._waiters.add(waiter)
            try:
                await waiter[1].wait()
            finally:
                self._waiters.discard(waiter)

    def close(self, timeout_s: float = 30) -> None:
        """Send and write what there is, and end the writer. What is still unwritten after the timeout counts as dropped."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._sender.join(timeout_s)
        self._wake()
        if self._writer is not None:
            self._end(self._writer, timeout_s)
        if left := self._waiting:
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
        self._accounts.join(5)

    def _send_forever(self) -> None:
        closing = False
        while not (closing and not self._buffer):
            with self._ready:
                self._ready.wait(0.001 if self._closing else self._settings.send_s)
                closing = self._closing
            writer = self._writer
            if writer is None:
                if not self._buffer:
                    continue  # a server that has answered nobody yet starts sooner and smaller without a writer
                writer = self._writer = self._start_writer()
            elif writer.poll() is not None:
                if closing:
                    return
                writer = self._writer = self._next_writer(writer.returncode)
            # Rows beyond what the writer may keep stay here, where the policy sees them.
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
                # Nothing that a caller may send gets here; if something did, it must not end the log for everybody.
                _log.exception("%s rows cannot be told to the request log's writer", rows)
                self._lost += rows
                self._on_drop(rows)
                continue
            # A writer that died is found dead by the next round, which counts what it had.
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
        arguments = [settings.place, settings.flush_s, settings.file_rows, settings.buffer_rows]
        # Apart from the terminal: a Ctrl-C must reach the server only, which then closes the pipe.
        flags: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        command = [sys.executable, "-m", "platform_lib.serving.request_log", *map(str, arguments)]
        environment = {"ARROW_DEFAULT_MEMORY_POOL": "system", **os.environ}  # Arrow's own holds 6 MiB more
        writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, **flags)
        self._accounts = Thread(target=self._read_accounts, args=(writer,), name="request-log-accounts", daemon=True)
        self._accounts.start()
        return writer

    def _next_writer(self, exit_code: int) -> "subprocess.Popen[bytes]":
        self._accounts.join(1)
        lost = self._at_writer
        self._lost += lost
        self._on_drop(lost)
        _log.error(
            "the request log's writer died with exit code %s; %s rows are lost, a new one starts", exit_code, lost
        )
        return self._start_writer()

    def _read_accounts(self, writer: "subprocess.Popen[bytes]") -> None:
        assert writer.stdout is not None
        for line in writer.stdout:
            account = json.loads(line)
            if account["problem"] and account["problem"] != self.problem:
                _log.error("the request log cannot be written to %s: %s", self._settings.place, account["problem"])
            self.problem = account["problem"]
            self._written += account["written"]
            self._given_up += account["dropped"]
            if account["dropped"]:
                self._on_drop(account["dropped"])
            self._wake()

    def _wake(self) -> None:
        for loop, event in list(self._waiters):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)
