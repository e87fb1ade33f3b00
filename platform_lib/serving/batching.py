"""Answer together what waits together, without making anything wait for it.

Requests that are read in one turn of the event loop are answered by one call of the model in the next: nobody is held back, so a single caller loses
nothing. What takes long goes to a thread, so that the loop stays free; what comes in meanwhile is answered together when the thread is free.
Knows neither HTTP nor protocols.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from platform_lib.data.rows import Rows, columns_of, joined
from platform_lib.serving.limits import BoundedExecutor, Limits
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.predictor import BatchPredictions, ModelFailed, predict_table

_ON_LOOP_S = 0.002
"""What is expected to take longer goes to a thread, a hop that costs info 0.15 ms."""
_BATCH_S = 0.05
"""Rows are put together only as far as they are expected to be answered in this time."""
_MOST_ROWS = 2_000


Summarize = Callable[[ServedModel, dict[str, Sequence[Any]], Sequence[Any]], Any]
"""From a version, the columns of a batch and its answers to whatever `on_batch` needs of them."""


def nothing(_served: ServedModel, _columns: dict[str, Sequence[Any]], _values: Sequence[Any]) -> None:
    """For batches that nothing else is wanted of."""


class PendingRequest(msgspec.Struct, eq=False):
    """A request that waits for its answer."""

    served: ServedModel
    rows: Rows
    write: Callable[[ServedModel, BatchPredictions], Any]
    """Turns its answers into the body of its response; called where the model is."""
    future: "asyncio.Future[Any]"
    """Gets what `write` returned."""
    info: Any = None
    """Whatever `on_batch` needs to know of the request."""
    timer: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class CompletedBatch:
    """What was answered together."""

    served: ServedModel
    requests: Sequence[PendingRequest]
    columns: dict[str, Sequence[Any]]
    """Of all rows, as they came: n values a feature."""
    predictions: BatchPredictions
    bodies: Sequence[Any]
    """One a request."""
    summary: Any
    """What `summarize` made of the batch."""
    seconds: float


class Batcher:
    """One event loop's. `submit` is all that its users need."""

    def __init__(
        self,
        limits: Limits,
        executor: BoundedExecutor,
        on_batch: Callable[[CompletedBatch], None],
        summarize: Summarize = nothing,
    ) -> None:
        """Prepare.

        Args:
            on_batch: Called in the loop with each batch, before its requests are answered.
            summarize: Called with each batch where the model is; for what would take too long in the loop.
        """
        self._summarize = summarize
        self._limits, self._executor, self._on_batch = limits, executor, on_batch
        self._quick: list[PendingRequest] = []
        self._slow: deque[PendingRequest] = deque()
        self._running = 0

    async def submit(
        self, served: ServedModel, rows: Rows, write: Callable[[ServedModel, BatchPredictions], Any], info: Any = None
    ) -> Any:
        """Answer rows of one request.

        Returns:
            What `write` made of its answers.
        Raises:
            ModelFailed: The model gave no answer.
            Problem: 503, too many wait or it takes too long.
        """
        loop = asyncio.get_running_loop()
        pending = PendingRequest(served, rows, write, loop.create_future(), info)
        service_time = served.service_time
        if service_time is not None and service_time.seconds(len(rows)) <= _ON_LOOP_S:
            if not self._quick:
                loop.call_soon(self._run_quick)
            self._quick.append(pending)
        else:
            self._executor.acquire()
            pending.timer = loop.call_later(self._limits.request_timeout_s, self._expire, pending)
            self._slow.append(pending)
            loop.call_soon(self._start_slow)
        return await pending.future

    def _run_quick(self) -> None:
        requests, self._quick = self._quick, []
        for batch in _batches(requests, _ON_LOOP_S):
            self._finish(batch, _compute_each(batch, self._summarize))

    def _start_slow(self) -> None:
        while self._slow and self._running < self._limits.concurrency:
            batch = self._next_slow()
            if not batch:
                return
            self._running += 1
            future = self._executor.start(lambda batch=batch: _compute_each(batch, self._summarize))  # type: ignore[misc]
            future.add_done_callback(lambda done, batch=batch: self._slow_done(batch, done))  # type: ignore[misc]

    def _next_slow(self) -> list[PendingRequest]:
        """The longest waiting request, and what can be answered together with it; the others keep their places."""
        while self._slow and self._slow[0].future.done():
            self._leave(self._slow.popleft())
        if not self._slow:
            return []
        served = self._slow[0].served
        same = [pending for pending in self._slow if pending.served is served and not pending.future.done()]
        batch = next(_batches(same, _BATCH_S))
        taken = set(map(id, batch))
        self._slow = deque(pending for pending in self._slow if id(pending) not in taken)
        return batch

    def _slow_done(
        self, requests: list[PendingRequest], done: "asyncio.Future[list[CompletedBatch | _Failure]]"
    ) -> None:
        self._running -= 1
        for pending in requests:
            self._leave(pending)
        if done.cancelled():
            for pending in requests:
                pending.future.cancel()
        elif (err := done.exception()) is not None:
            self._finish(requests, [_Failure(requests, err)])
        else:
            self._finish(requests, done.result())
        self._start_slow()

    def _leave(self, pending: PendingRequest) -> None:
        self._executor.release()
        if pending.timer is not None:
            pending.timer.cancel()

    def _expire(self, pending: PendingRequest) -> None:
        if not pending.future.done():
            pending.future.set_exception(self._executor.timeout_problem())

    def _finish(self, requests: Sequence[PendingRequest], outcomes: "Iterable[CompletedBatch | _Failure]") -> None:
        for outcome in outcomes:
            if isinstance(outcome, _Failure):
                for pending in outcome.requests:
                    if not pending.future.done():
                        pending.future.set_exception(outcome.error)
                continue
            if (service_time := outcome.served.service_time) is not None:
                service_time.record(outcome.predictions.stop, outcome.seconds)
            try:
                self._on_batch(outcome)
            except Exception as err:  # a bug of ours must not leave its requests without an answer
                for pending in requests:
                    if not pending.future.done():
                        pending.future.set_exception(err)
            for pending, body in zip(outcome.requests, outcome.bodies, strict=True):
                if not pending.future.done():
                    pending.future.set_result(body)


@dataclass(frozen=True, slots=True)
class _Failure:
    requests: Sequence[PendingRequest]
    error: BaseException


def _batches(requests: Sequence[PendingRequest], seconds: float) -> Iterator[list[PendingRequest]]:
    """Requests of one version each, in their order, as many together as are answered in that time."""
    groups: dict[int, list[PendingRequest]] = {}
    for pending in requests:
        groups.setdefault(id(pending.served), []).append(pending)
    for group in groups.values():
        service_time = group[0].served.service_time
        most = min(service_time.rows_within(seconds), _MOST_ROWS) if service_time is not None else 1
        batch: list[PendingRequest] = []
        rows = 0
        for pending in group:
            if batch and rows + len(pending.rows) > most:
                yield batch
                batch, rows = [], 0
            batch.append(pending)
            rows += len(pending.rows)
        yield batch


def _compute_each(requests: Sequence[PendingRequest], summarize: Summarize) -> list[CompletedBatch | _Failure]:
    """The whole batch at once, or each alone where something in it fails, so that no request fails for another's rows."""
    try:
        return [_compute(requests, summarize)]
    except Exception as err:
        if len(requests) == 1:
            return [_Failure(requests, err)]
    return [outcome for pending in requests for outcome in _compute_each([pending], summarize)]


def _compute(requests: Sequence[PendingRequest], summarize: Summarize) -> CompletedBatch:
    start = time.perf_counter()
    served = requests[0].served
    rows = joined([pending.rows for pending in requests])
    columns = columns_of(rows, served.features)
    predictions = predict_table(served.model, columns, served.predict)
    if len(predictions.values) != len(rows):
        raise ModelFailed(
            f"{served.model.name} version {served.model.version} gave {len(predictions.values)} answers to {len(rows)} rows."
        )
    answers = BatchPredictions.of(predictions)
    bodies, start_row = [], 0
    for pending in requests:
        stop_row = start_row + len(pending.rows)
        bodies.append(pending.write(served, answers.part(start_row, stop_row)))
        start_row = stop_row
    summary = summarize(served, columns, answers.values)
    return CompletedBatch(served, requests, columns, answers, bodies, summary, time.perf_counter() - start)
