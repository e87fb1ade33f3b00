"""Limits on concurrent work, with real threads."""

import asyncio
import time
from threading import Event

import pytest

from platform_lib.serving.limits import BoundedExecutor, Limits
from platform_lib.serving.problems import Problem


def test_beyond_the_queue_a_request_gets_retry_after_at_once() -> None:
    gate = Event()

    async def scenario() -> list[int]:
        executor = BoundedExecutor(Limits(concurrency=1, queue=2))
        waiting = [asyncio.create_task(executor.run(gate.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        refused = []
        for _ in range(5):
            with pytest.raises(Problem) as caught:
                await executor.run(gate.wait)
            refused.append(caught.value.status)
            assert caught.value.headers["Retry-After"] == "1"
        gate.set()
        assert await asyncio.gather(*waiting) == [True, True, True]
        assert executor.in_use == 0
        return refused

    assert asyncio.run(scenario()) == [503] * 5


def test_a_slow_model_causes_a_503_and_keeps_its_slot_until_it_is_done() -> None:
    gate = Event()

    async def scenario() -> None:
        executor = BoundedExecutor(Limits(concurrency=1, queue=0, request_timeout_s=0.05))
        with pytest.raises(Problem, match=r"no answer within 0.05 seconds"):
            await executor.run(gate.wait)
        with pytest.raises(Problem, match="is busy with 1 requests"):
            await executor.run(gate.wait)
        gate.set()
        deadline = time.monotonic() + 10
        while executor.in_use:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        assert await executor.run(lambda: 7) == 7

    asyncio.run(scenario())


def test_an_error_in_the_work_reaches_the_caller_and_frees_the_slot() -> None:
    async def scenario() -> None:
        executor = BoundedExecutor(Limits(concurrency=1, queue=0))
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await executor.run(lambda: 1 // 0)

    asyncio.run(scenario())
