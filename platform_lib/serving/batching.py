"""Compute concurrent requests in one call of the model, without delaying any of them.

All requests that arrive in one turn of the event loop are computed in the next turn, so a single caller loses nothing.
Predictions that take long run in a thread and leave the loop free; requests that arrive meanwhile form the next batch.
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
from platform_lib.serving.problems import without_frames

_ON_LOOP_S = 0.002
"""Predictions that are expected to take longer run in a thread. The switch to a thread costs about 0.15 ms."""
_BATCH_S = 0.05
"""A batch holds only as many rows as are expected to take this long."""
_MAX_BATCH_ROWS = 2_000

Encode = Callable[[ServedModel, BatchPredictions], Any]
"""Encodes the response of one request."""
Summarize = Callable[[ServedModel, dict[str, Sequence[Any]], Sequence[Any]], Any]
"""From a version, the columns of a batch and its predictions to whatever `on_batch` needs of them."""


def no_summary(_served: ServedModel, _columns: dict[str, Sequence[Any]], _values: Sequence[Any]) -> None:
    """Summarize nothing."""


class PendingRequest(msgspec.Struct, eq=False):
    """A request that waits for its predictions."""

    served: ServedModel
    rows: Rows
    encode: Encode
    """Called in the thread that computes the predictions."""
    future: "asyncio.Future[Any] | None"
    """Its result is what `encode` returned; None once the request has failed."""
    info: Any = None
    """Whatever `on_batch` needs to know of the request."""
    timer: asyncio.TimerHandle | None = None

    @property
    def is_done(self) -> bool:
        """Whether nobody waits for the predictions any more."""
        return self.future is None or self.future.done()

    def fail(self, error: BaseException) -> None:
        """Raise the error where the request waits.

        The future is let go of: with it, this request would hold the error, whose traceback may hold this request.
        """
        future, self.future = self.future, None
        if future is not None and not future.done():
            future.set_exception(error)


@dataclass(frozen=True, slots=True)
class CompletedBatch:
    """Requests that were computed together."""

    served: ServedModel
    requests: Sequence[PendingRequest]
    columns: dict[str, Sequence[Any]]
    """By feature, n values of all rows, in the order of the requests."""
    predictions: BatchPredictions
    responses: Sequence[Any]
    """What `encode` returned, one per request."""
    summary: Any
    """What `summarize` returned."""
    seconds: float


class Batcher:
    """Batches the requests of one event loop."""

    def __init__(
        self,
        limits: Limits,
        executor: BoundedExecutor,
        on_batch: Callable[[CompletedBatch], None],
        summarize: Summarize = no_summary,
    ) -> None:
        """Create a batcher.

        Args:
            limits: Concurrency and time.
            executor: Runs the predictions that take long.
            on_batch: Called in the loop with each batch, before its requests get their responses.
            summarize: Called with each batch in the thread that computes it, for work that would block the loop.
        """
        self._limits, self._executor = limits, executor
        self._on_batch, self._summarize = on_batch, summarize
        self._quick: list[PendingRequest] = []
        self._slow: deque[PendingRequest] = deque()
        self._running = 0

    async def submit(self, served: ServedModel, rows: Rows, encode: Encode, info: Any = None) -> Any:
        """Compute the n rows of one request.

        Returns:
            What `encode` returned for its predictions.
        Raises:
            ModelFailed: The model has no prediction.
            Problem: 503, the queue is full or the prediction takes too long.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        pending = PendingRequest(served, rows, encode, future, info)
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
        try:
            return await future
        finally:
            # An error's traceback holds this frame: with the future that holds the error, it would be a cycle.
            del future

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
        """Take the request that waits longest and those that fit into its batch; the others keep their places."""
        while self._slow and self._slow[0].is_done:
            self._leave(self._slow.popleft())
        if not self._slow:
            return []
        served = self._slow[0].served
        same = [pending for pending in self._slow if pending.served is served and not pending.is_done]
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
                pending.fail(asyncio.CancelledError())
        elif (err := done.exception()) is not None:
            self._finish(requests, [_Failure(requests, without_frames(err))])
        else:
            self._finish(requests, done.result())
        self._start_slow()

    def _leave(self, pending: PendingRequest) -> None:
        self._executor.release()
        if pending.timer is not None:
            pending.timer.cancel()

    def _expire(self, pending: PendingRequest) -> None:
        pending.fail(self._executor.timeout_problem())
        if pending in self._slow:  # no thread will need them
            pending.rows = ()

    def _finish(self, requests: Sequence[PendingRequest], outcomes: "Iterable[CompletedBatch | _Failure]") -> None:
        for outcome in outcomes:
            if isinstance(outcome, _Failure):
                for pending in outcome.requests:
                    pending.fail(outcome.error)
                continue
            if (service_time := outcome.served.service_time) is not None:
                service_time.record(outcome.predictions.stop, outcome.seconds)
            try:
                self._on_batch(outcome)
            except Exception as err:  # a bug here must not leave the requests without a response
                error = without_frames(err)
                for pending in requests:
                    pending.fail(error)
            for pending, response in zip(outcome.requests, outcome.responses, strict=True):
                if pending.future is not None and not pending.future.done():
                    pending.future.set_result(response)


@dataclass(frozen=True, slots=True)
class _Failure:
    requests: Sequence[PendingRequest]
    error: BaseException


def _batches(requests: Sequence[PendingRequest], seconds: float) -> Iterator[list[PendingRequest]]:
    """Split requests into batches of one version each, in order, as many rows as are expected to take `seconds`."""
    groups: dict[int, list[PendingRequest]] = {}
    for pending in requests:
        groups.setdefault(id(pending.served), []).append(pending)
    for group in groups.values():
        service_time = group[0].served.service_time
        most = min(service_time.rows_within(seconds), _MAX_BATCH_ROWS) if service_time is not None else 1
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
    """Compute the whole batch, or each request alone if it fails, so that no request fails for another's rows."""
    try:
        return [_compute(requests, summarize)]
    except Exception as err:
        if len(requests) == 1:
            return [_Failure(requests, without_frames(err))]
    return [outcome for pending in requests for outcome in _compute_each([pending], summarize)]


def _compute(requests: Sequence[PendingRequest], summarize: Summarize) -> CompletedBatch:
    start = time.perf_counter()
    served = requests[0].served
    rows = joined([pending.rows for pending in requests])
    columns = columns_of(rows, served.features)
    predictions = predict_table(served.model, columns, served.predict)
    if len(predictions.values) != len(rows):
        raise ModelFailed(
            f"{served.model.name} version {served.model.version} returned {len(predictions.values)} predictions "
            f"for {len(rows)} rows."
        )
    batch = BatchPredictions.of(predictions)
    responses, start_row = [], 0
    for pending in requests:
        stop_row = start_row + len(pending.rows)
        responses.append(pending.encode(served, batch.part(start_row, stop_row)))
        start_row = stop_row
    summary = summarize(served, columns, batch.values)
    return CompletedBatch(served, requests, columns, batch, responses, summary, time.perf_counter() - start)
