"""Request bodies that are slow, incomplete or too large, as ASGI messages without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from platform_lib.data.contract import columns_from_rows
from platform_lib.serving.http.app import create_app
from platform_lib.serving.limits import Limits
from platform_lib.serving.problems import Problem
from platform_lib.serving.protocols.tensors import column_datatype
from platform_lib.serving.transport.request_body import BodyReader
from tests.serving.sample_models import CLASSIFICATION, REGRESSION, FixedSource, fitted, loaded, rows

JSON = {"content-type": "application/json"}


def receiving(*messages: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Deliver messages one after the other; then nothing more."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def read(*messages: dict[str, Any], limits: Limits | None = None) -> bytes:
    async def inside() -> bytes:
        return await BodyReader(limits or Limits()).read(JSON, receiving(*messages))

    return asyncio.run(inside())


def test_parts_are_joined() -> None:
    assert read(part(b"a"), part(b""), part(b"bc", more=False)) == b"abc"


@pytest.mark.parametrize("messages", [[], [part(b"a")]], ids=["nothing comes", "the rest does not come"])
def test_a_body_that_does_not_arrive_is_408(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(Problem, match=r"did not arrive within 0.05 seconds") as caught:
        read(*messages, limits=Limits(body_timeout_s=0.05))
    assert caught.value.status == 408
    assert caught.value.headers == {"Connection": "close"}


def test_an_incomplete_body_is_400_and_a_large_one_413() -> None:
    with pytest.raises(Problem, match="closed before the body was complete"):
        read(part(b"a"), {"type": "http.disconnect"})
    with pytest.raises(Problem, match="larger than 3 bytes"):
        read(part(b"ab"), part(b"cd"), limits=Limits(max_body_bytes=3))


def test_one_timer_watches_many_bodies_and_releases_finished_ones() -> None:
    async def inside() -> list[Any]:
        reader = BodyReader(Limits(body_timeout_s=0.05))
        slow = [reader.read(JSON, receiving(part(b"a"))) for _ in range(5)]
        quick = [reader.read(JSON, receiving(part(b"a", more=False))) for _ in range(5)]
        return await asyncio.gather(*slow, *quick, return_exceptions=True)

    answers = asyncio.run(inside())
    assert [answer.status for answer in answers[:5]] == [408] * 5
    assert answers[5:] == [b"a"] * 5


def test_a_cancelled_request_does_not_count_as_slow() -> None:
    async def inside() -> None:
        task = asyncio.create_task(BodyReader(Limits()).read(JSON, receiving()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(inside())


@pytest.mark.parametrize(("path", "key"), [("/predict", "rows"), ("/invocations", "dataframe_records")])
@pytest.mark.parametrize("some", [rows(2), [{}]], ids=["answered", "refused"])
def test_the_route_responds_like_the_endpoint_that_bypasses_it(path: str, key: str, some: list[dict[str, Any]]) -> None:
    app = create_app(FixedSource(loaded(fitted(REGRESSION), REGRESSION)))
    with TestClient(app) as http:
        direct = http.post(path, json={key: some}, headers={"X-Request-ID": "r1"})
        app.direct_endpoints = None
        routed = http.post(path, json={key: some}, headers={"X-Request-ID": "r1"})
    assert (direct.status_code, direct.json()) == (routed.status_code, routed.json())
    assert sorted(direct.headers.items()) == sorted(routed.headers.items())


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/people/infer",
        "/v2/models/people/versions/1/infer",
        "/v2/models/people/versions/9/infer",
        "/v2/models/other/infer",
        "/v2/models/{name}/infer",
        "/v2/models//infer",
        "/v2/models/a%2Fb/infer",
        "/v2/models/people/versions//infer",
        "/v2/models/people/infer/",
        "/v2/models/people",
        "/v2/{name}",
    ],
)
def test_an_open_inference_path_means_the_same_with_and_without_the_router(path: str) -> None:
    app = create_app(FixedSource(loaded(fitted())))
    some = columns_from_rows(rows(2), CLASSIFICATION)
    body = {
        "inputs": [
            {"name": name, "shape": [2], "datatype": column_datatype(CLASSIFICATION.columns[name]), "data": values}
            for name, values in some.items()
        ],
        "id": "mine",
    }
    with TestClient(app) as http:
        direct = http.post(path, json=body, headers={"X-Request-ID": "r1"})
        app.direct_endpoints = None
        routed = http.post(path, json=body, headers={"X-Request-ID": "r1"})
    assert (direct.status_code, direct.json()) == (routed.status_code, routed.json())
    assert (direct.status_code == 200) == (path in ("/v2/models/people/infer", "/v2/models/people/versions/1/infer"))
