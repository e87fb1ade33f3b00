"""Ask a second version what a first one answered, in the background, and keep how far they agree: callers never wait for it.

One thread, a few rows of a batch at a time, and at most a tenth of its time: what does not fit is skipped and counted.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, Literal

from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.predictor import predict_table

log = logging.getLogger("platform_lib.serving")

Result = Literal["same", "differs", "failed", "skipped"]
Count = Callable[[ServedModel, Result, int], None]

TOLERANCE = 0.01
"""Numbers agree when they differ by no more than this share of the larger one."""
MOST_ROWS = 64
"""Of a batch; the interpreter is held while they are answered."""
BUSY_SHARE = 0.1
"""Of the thread's time at most."""
_WAITING = 16


class Agreement:
    """How far one version's answers agree with another's. The comparing thread alone writes it."""

    def __init__(self) -> None:
        self.compared = self.disagreements = self.failures = self.skipped = 0
        self._difference = 0.0
        self._is_number = False

    @property
    def mean_difference(self) -> float | None:
        """Mean absolute difference of numbers; None for classes, and before there are any."""
        return self._difference / self.compared if self._is_number and self.compared else None

    def add(self, ours: Sequence[Any], theirs: Sequence[Any]) -> int:
        """Compare answers to the same rows.

        Returns:
            How many differ.
        """
        self._is_number = self._is_number or isinstance(ours[0], float)
        if isinstance(ours[0], float):
            differences = [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
            differing = sum(
                1 for d, a, b in zip(differences, ours, theirs, strict=True) if d > TOLERANCE * max(abs(a), abs(b))
            )
            self._difference += sum(differences)
        else:
            differing = sum(1 for a, b in zip(ours, theirs, strict=True) if a != b)
        self.compared += len(ours)
        self.disagreements += differing
        return differing


@dataclass(frozen=True, slots=True)
class _Task:
    role: ServedModel
    """The version whose agreement it is, for the counts."""
    ask: ServedModel
    agreement: Agreement
    columns: Mapping[str, Sequence[Any]]
    values: Sequence[Any]
    rows: int


class ComparisonThread:
    """Compares in a thread. `compare` is called in the event loop and returns at once."""

    def __init__(self, count: Count = lambda role, result, rows: None) -> None:
        """Prepare; the thread begins with the first comparison.

        Args:
            count: Told the version, the result and the rows, in the comparing thread or, for what is skipped, in the event loop.
        """
        self._count = count
        self._tasks: Queue[_Task] = Queue(maxsize=_WAITING)
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def compare(
        self,
        role: ServedModel,
        ask: ServedModel,
        agreement: Agreement,
        columns: Mapping[str, Sequence[Any]],
        values: Sequence[Any],
    ) -> None:
        """Ask a version for rows that another one answered.

        Args:
            role: The canary or the shadow that is judged, which answered or is asked.
            columns: Of all rows, as they came: n values a feature.
            values: n answers.
        """
        rows = min(len(values), MOST_ROWS)
        try:
            self._tasks.put_nowait(_Task(role, ask, agreement, columns, values, rows))
        except Full:
            rows = 0
        else:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="comparison", daemon=True)
                self._thread.start()
        if rows < len(values):
            agreement.skipped += len(values) - rows
            self._count(role, "skipped", len(values) - rows)

    def close(self) -> None:
        """Compare no more."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                task = self._tasks.get(timeout=0.2)
            except Empty:
                continue
            start = time.perf_counter()
            self._do(task)
            self._closing.wait((time.perf_counter() - start) * (1 / BUSY_SHARE - 1))

    def _do(self, task: _Task) -> None:
        agreement = task.agreement
        try:
            columns = {name: task.columns[name][: task.rows] for name in task.ask.features}
            theirs = predict_table(task.ask.model, columns, task.ask.predict).values.tolist()
            differing = agreement.add(task.values[: task.rows], theirs)
        except Exception as err:  # a version that fails here fails nobody
            if not agreement.failures:
                log.warning("version %s cannot answer rows that are compared: %s", task.ask.model.version, err)
            agreement.failures += task.rows
            self._count(task.role, "failed", task.rows)
            return
        if differing:
            self._count(task.role, "differs", differing)
        if differing < task.rows:
            self._count(task.role, "same", task.rows - differing)
