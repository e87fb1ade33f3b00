"""Compare two versions' predictions for live rows, in a background thread.

Callers never wait for it. The thread compares a few rows of each batch and is busy at most a tenth of the time; rows
beyond that are skipped and counted.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, Literal

from platform_lib.data.contract import library_message
from platform_lib.errors import PlatformError
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.predictor import predict_table

log = logging.getLogger("platform_lib.serving")

Result = Literal["same", "differs", "failed", "skipped"]
CountRows = Callable[[ServedModel, Result, int], None]
"""Counts rows of a canary or shadow by the result of their comparison."""

TOLERANCE = 0.01
"""Numbers agree if they differ by at most this share of the larger one."""
MOST_ROWS = 64
"""Rows compared per batch: predicting them holds the interpreter's lock."""
BUSY_SHARE = 0.1
"""Largest share of time that the thread is busy."""
_QUEUE_LENGTH = 16


class Agreement:
    """How far two versions' predictions agree. Only the comparison thread writes it, except for `skipped`."""

    def __init__(self) -> None:
        self.compared = self.disagreements = self.failures = self.skipped = 0
        self._difference = 0.0
        self._is_number = False

    @property
    def mean_difference(self) -> float | None:
        """Mean absolute difference of numbers; None for classes and before the first comparison."""
        return self._difference / self.compared if self._is_number and self.compared else None

    def add(self, first: Sequence[Any], second: Sequence[Any]) -> int:
        """Compare two versions' predictions for the same n ≥ 1 rows.

        Args:
            first: n classes or n floats.
            second: n values of the same type.
        Returns:
            How many of them differ.
        """
        if isinstance(first[0], float):
            self._is_number = True
            differences = [abs(a - b) for a, b in zip(first, second, strict=True)]
            differing = sum(
                1 for d, a, b in zip(differences, first, second, strict=True) if d > TOLERANCE * max(abs(a), abs(b))
            )
            self._difference += sum(differences)
        else:
            differing = sum(1 for a, b in zip(first, second, strict=True) if a != b)
        self.compared += len(first)
        self.disagreements += differing
        return differing


@dataclass(frozen=True, slots=True)
class _Task:
    candidate: ServedModel
    """The canary or shadow that the rows are counted for."""
    predict_with: ServedModel
    agreement: Agreement
    columns: Mapping[str, Sequence[Any]]
    values: Sequence[Any]
    rows: int


class ComparisonThread:
    """Compares in a thread. The event loop calls `compare`, which returns immediately."""

    def __init__(self, count: CountRows = lambda candidate, result, rows: None) -> None:
        """Prepare; the first comparison starts the thread.

        Args:
            count: Called with a canary or shadow, a result and a number of rows: in the comparison thread, or in the
                event loop for skipped rows.
        """
        self._count = count
        self._tasks: Queue[_Task] = Queue(maxsize=_QUEUE_LENGTH)
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def compare(
        self,
        candidate: ServedModel,
        predict_with: ServedModel,
        agreement: Agreement,
        columns: Mapping[str, Sequence[Any]],
        values: Sequence[Any],
    ) -> None:
        """Have one version predict the n rows that another version has predicted.

        Args:
            candidate: The canary or shadow that the rows are counted for.
            predict_with: The version that predicts the rows in the thread.
            agreement: Where the comparison is recorded.
            columns: n values per feature, as received.
            values: The other version's n predictions.
        """
        rows = min(len(values), MOST_ROWS)
        try:
            self._tasks.put_nowait(_Task(candidate, predict_with, agreement, columns, values, rows))
        except Full:
            rows = 0
        else:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="comparison", daemon=True)
                self._thread.start()
        if rows < len(values):
            agreement.skipped += len(values) - rows
            self._count(candidate, "skipped", len(values) - rows)

    def close(self) -> None:
        """Stop comparing."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                task = self._tasks.get(timeout=0.2)
            except Empty:
                continue
            start = time.perf_counter()
            self._compare(task)
            self._closing.wait((time.perf_counter() - start) * (1 / BUSY_SHARE - 1))

    def _compare(self, task: _Task) -> None:
        agreement, version = task.agreement, task.predict_with
        try:
            columns = {name: task.columns[name][: task.rows] for name in version.features}
            predicted = predict_table(version.model, columns, version.predict).values.tolist()
            differing = agreement.add(task.values[: task.rows], predicted)
        except Exception as err:  # a failure here must not reach any caller
            if not agreement.failures:
                why = err if isinstance(err, PlatformError) else library_message(err, version.model.contract)
                log.warning("version %s cannot predict rows for the comparison: %s", version.model.version, why)
            agreement.failures += task.rows
            self._count(task.candidate, "failed", task.rows)
            return
        if differing:
            self._count(task.candidate, "differs", differing)
        if differing < task.rows:
            self._count(task.candidate, "same", task.rows - differing)
