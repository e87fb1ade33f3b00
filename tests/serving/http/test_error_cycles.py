"""An error frees everything that its request held at once, without the garbage collector."""

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from platform_lib.errors import PlatformError
from platform_lib.model.artifact import Predictions
from platform_lib.serving.http.app import create_app
from platform_lib.serving.limits import Limits
from platform_lib.serving.models.service_time import ServiceTime
from platform_lib.serving.problems import Problem
from tests.serving.sample_models import FixedSource, StubPipeline, fitted, loaded, rows
from tests.waiting import wait_until


class FailedInside(Exception):
    """What the model raises."""


@pytest.fixture(autouse=True)
def _without_the_collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.getLogger("platform_lib.serving"), "disabled", True)  # pytest keeps records and errors
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def errors_alive() -> list[BaseException]:
    kinds = Problem | PlatformError | FailedInside | asyncio.CancelledError
    return [it for it in gc.get_objects() if isinstance(it, kinds)]


def ask(source: FixedSource, *bodies: bytes, limits: Limits | None = None) -> list[int]:
    """Send bodies to the application; return statuses once no error is left in memory."""

    before = set(map(id, errors_alive()))

    async def scenario() -> list[int]:
        app = create_app(source, limits)  # type: ignore[arg-type]
        statuses = []
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            for body in bodies:
                answer = await client.post("/predict", content=body, headers={"Content-Type": "application/json"})
                statuses.append(answer.status_code)
                del answer
        return statuses

    statuses = asyncio.run(scenario())
    # The thread that computed may still be about to let go of its last result.
    wait_until(lambda: all(id(error) in before for error in errors_alive()), "the end of all errors", timeout_s=20)
    return statuses


def body_of(some: list[dict[str, Any]], size: int = 0) -> bytes:
    return json.dumps({"rows": some}).encode().ljust(size)


def test_of_a_body_on_the_loop_and_in_a_thread() -> None:
    wrong = [{**rows(1)[0], "age": "x"}]
    bodies = [
        body_of(wrong),
        body_of(wrong, 100_000),
        b"{",
        b"[" * 100_000,
        body_of(rows(1) * 30),
        body_of([{}] * 30_000),
    ]
    statuses = ask(FixedSource(loaded(fitted())), *bodies, limits=Limits(max_rows=20))
    assert statuses == [422, 422, 400, 400, 422, 422]


@pytest.mark.parametrize("is_quick", [True, False])
def test_of_a_model_that_fails(is_quick: bool) -> None:
    def fail(_table: Any) -> Predictions:
        raise FailedInside

    source = FixedSource(loaded(StubPipeline(lambda _table: np.zeros(1))))
    assert source.current is not None
    object.__setattr__(source.current, "predict", fail)
    object.__setattr__(source.current, "service_time", ServiceTime(0.0, 0.0) if is_quick else None)
    assert ask(source, body_of(rows(1)), body_of(rows(3))) == [500, 500]
