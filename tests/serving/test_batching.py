"""Requests that wait together are predicted in one batch, and none is affected by another's rows.

Slow predictions run in threads.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from platform_lib.serving.batching import Batcher, CompletedBatch
from platform_lib.serving.limits import BoundedExecutor, Limits
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.models.service_time import ServiceTime, measure
from platform_lib.serving.predictor import BatchPredictions, ModelFailed
from platform_lib.serving.problems import Problem
from tests.serving.sample_models import REGRESSION, FixedSource, StubPipeline, loaded

ROW = (30, 1.0, True, "Bern", None, 0.5, "a")
QUICK = 0.000_01
SLOW = 0.02


class Counted:
    """A model that records the number of rows per call and returns their score."""

    def __init__(self, then: Callable[[Any], object] = lambda frame: None) -> None:
        self.calls: list[int] = []
        self.threads: set[int] = set()
        self._then = then

    def __call__(self, frame: Any) -> Any:
        self.calls.append(len(frame))
        self.threads.add(threading.get_ident())
        self._then(frame)
        return frame["score"].to_numpy(dtype=float)


def served(model: Callable[[Any], Any], call_s: float | None, version: str = "1") -> ServedModel:
    made = FixedSource(loaded(StubPipeline(model), REGRESSION, version)).current
    assert made is not None
    return replace(made, service_time=None if call_s is None else ServiceTime(call_s, 0.0))


def row(score: float) -> list[tuple[Any, ...]]:
    return [(*ROW[:5], score, "a")]


def values(_served: ServedModel, answers: BatchPredictions) -> list[float]:
    return list(answers.as_json()["predictions"])


def run(
    scenario: Callable[[Batcher], Any],
    limits: Limits | None = None,
    seen: Callable[[CompletedBatch], None] = lambda batch: None,
) -> Any:
    async def inside() -> Any:
        bounds = limits or Limits()
        executor = BoundedExecutor(bounds)
        try:
            return await scenario(Batcher(bounds, executor, seen)), executor.in_use
        finally:
            executor.close()

    return asyncio.run(inside())


async def ask(batcher: Batcher, model: ServedModel, scores: Sequence[float]) -> list[Any]:
    return await asyncio.gather(
        *(batcher.submit(model, row(score), values) for score in scores), return_exceptions=True
    )


def test_requests_of_one_loop_turn_are_one_call_and_each_gets_its_own_predictions() -> None:
    counted, batches = Counted(), []
    answers, taken = run(
        lambda batcher: ask(batcher, served(counted, QUICK), [0.1, 0.2, 0.3]), seen=lambda batch: batches.append(batch)
    )
    assert answers == [[0.1], [0.2], [0.3]]
    assert counted.calls == [3]
    assert counted.threads == {threading.get_ident()}
    assert taken == 0
    assert batches[0].columns["score"] == (0.1, 0.2, 0.3)


def test_two_versions_never_share_a_batch() -> None:
    one, two = Counted(), Counted()

    async def scenario(batcher: Batcher) -> Any:
        return await asyncio.gather(
            *(ask(batcher, served(model, QUICK, name), [0.5, 0.6]) for name, model in (("1", one), ("2", two)))
        )

    run(scenario)
    assert one.calls == two.calls == [1, 1] or one.calls == two.calls == [2]


@pytest.mark.parametrize("call_s", [QUICK, SLOW])
def test_rows_on_which_the_model_fails_fail_only_their_own_request(call_s: float) -> None:
    def picky(frame: Any) -> None:
        if (frame["score"] > 0.9).any():
            raise ValueError("too much")

    answers, taken = run(lambda batcher: ask(batcher, served(Counted(picky), call_s), [0.1, 0.95, 0.3]))
    assert [answers[0], answers[2]] == [[0.1], [0.3]]
    assert isinstance(answers[1], ModelFailed)
    assert taken == 0


@pytest.mark.parametrize("call_s", [SLOW, None], ids=["slow", "not measured"])
def test_long_predictions_do_not_block_the_event_loop(call_s: float | None) -> None:
    asked, may_end = threading.Event(), threading.Event()

    def waits(_frame: Any) -> None:
        asked.set()
        assert may_end.wait(30)

    async def scenario(batcher: Batcher) -> Any:
        task = asyncio.create_task(batcher.submit(served(Counted(waits), call_s), row(0.1), values))
        while not asked.is_set():
            await asyncio.sleep(0.001)
        assert not task.done()
        may_end.set()
        return await task

    assert run(scenario) == ([0.1], 0)


def test_requests_that_arrive_while_a_thread_is_busy_are_batched() -> None:
    may_end = threading.Event()
    counted = Counted(lambda _frame: may_end.wait(30))
    model = served(counted, SLOW)

    async def scenario(batcher: Batcher) -> Any:
        first = asyncio.create_task(batcher.submit(model, row(0.0), values))
        while not counted.calls:
            await asyncio.sleep(0.001)
        rest = asyncio.create_task(ask(batcher, model, [0.1, 0.2, 0.3]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        may_end.set()
        return [await first, *await rest]

    assert run(scenario, Limits(concurrency=1))[0] == [[0.0], [0.1], [0.2], [0.3]]
    assert counted.calls == [1, 3]


def test_beyond_the_queue_a_request_gets_retry_after_and_the_others_succeed() -> None:
    may_end = threading.Event()
    model = served(Counted(lambda _frame: may_end.wait(30)), None)

    async def scenario(batcher: Batcher) -> Any:
        all_of_them = asyncio.gather(
            *(batcher.submit(model, row(score), values) for score in (0.1, 0.2, 0.3, 0.4)), return_exceptions=True
        )
        await asyncio.sleep(0)
        may_end.set()
        return await all_of_them

    answers, taken = run(scenario, Limits(concurrency=1, queue=1))
    assert answers[:2] == [[0.1], [0.2]]
    assert [answer.status for answer in answers[2:] if isinstance(answer, Problem)] == [503, 503]
    assert taken == 0


def test_a_timed_out_request_keeps_its_slot_until_the_model_is_done() -> None:
    may_end = threading.Event()
    model = served(Counted(lambda _frame: may_end.wait(30)), None)

    async def scenario(batcher: Batcher) -> Any:
        answers = await ask(batcher, model, [0.1, 0.2])
        with pytest.raises(Problem, match="is busy with 2 requests"):
            await batcher.submit(model, row(0.3), values)
        may_end.set()
        while True:
            try:
                return answers, await batcher.submit(model, row(0.3), values)
            except Problem:
                await asyncio.sleep(0.001)

    (answers, later), _ = run(scenario, Limits(concurrency=1, queue=1, request_timeout_s=0.05))
    assert all(isinstance(answer, Problem) and "no answer within 0.05" in answer.detail for answer in answers)
    assert later == [0.3]


def test_a_model_that_returns_too_few_predictions_has_failed() -> None:
    answers, _ = run(lambda batcher: ask(batcher, served(lambda frame: np.zeros(2), QUICK), [0.1]))
    assert isinstance(answers[0], ModelFailed)


def test_a_bug_in_logging_reaches_the_caller() -> None:
    def broken(_batch: CompletedBatch) -> None:
        raise RuntimeError("bug")

    answers, _ = run(lambda batcher: ask(batcher, served(Counted(), QUICK), [0.1]), seen=broken)
    assert isinstance(answers[0], RuntimeError)


def test_the_service_time_follows_measured_predictions() -> None:
    service_time = ServiceTime(0.001, 0.0001)
    assert service_time.seconds(10) == pytest.approx(0.002)
    assert service_time.rows_within(0.002) == 10
    for _ in range(50):
        service_time.record(10, 0.02)
    assert service_time.seconds(10) == pytest.approx(0.02, rel=0.01)
    assert service_time.rows_within(0.001) == 1


def test_the_service_time_is_measured_with_one_row_and_with_many() -> None:
    counts: list[int] = []
    service_time = measure(lambda rows: counts.append(len(rows)), ROW)
    assert set(counts) == {1, 64}
    assert service_time.seconds(1) < 1
