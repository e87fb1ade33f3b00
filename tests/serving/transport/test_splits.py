"""However a client's bytes are cut into packets, it gets the same bytes back; `Upgrade` changes nothing."""

import asyncio
import itertools
import json
import random
from collections.abc import Iterator

import pytest

from platform_lib.serving.http.app import ModelServer, create_app
from tests.serving.sample_models import FixedSource, fitted, loaded, rows
from tests.serving.transport.wire import LAST, converse, statuses

BODY = json.dumps({"rows": rows(1)}).encode()
UPGRADES = {
    "Java and curl": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n",
    "TLS": b"Upgrade: TLS/1.0\r\nConnection: keep-alive, upgrade\r\n",
    "several": b"upgrade: foo, bar/2\r\nconnection: upgrade\r\nUPGRADE: baz\r\n",
}


def post(headers: bytes, body: bytes = BODY, name: bytes = b"mine") -> bytes:
    start = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-ID: " + name + b"\r\n"
    if b"chunked" not in headers:
        headers += b"Content-Length: %d\r\n" % len(body)
    return start + headers + b"\r\n" + body


def get(path: bytes, headers: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-Request-ID: " + path[1:] + b"\r\n" + headers + b"\r\n"


def chunked(headers: bytes) -> bytes:
    body = b"%x;name=value\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Trailer: a\r\nAuthorization: Bearer b\r\n\r\n"
    return post(
        headers + b"Transfer-Encoding: chunked\r\n", body % (9, BODY[:9], len(BODY) - 9, BODY[9:]), name=b"chunks"
    )


def requests(upgrade: bytes) -> bytes:
    """Bodies whole, in chunks, none, and unread; errors between; every request with these headers."""
    unread = b"POST /nope HTTP/1.1\r\nHost: x\r\nX-Request-ID: n\r\n" + upgrade + b"Content-Length: 30\r\n\r\n"
    return (
        get(b"/healthz", upgrade)
        + post(upgrade)
        + chunked(upgrade)
        + unread
        + b"GET /healthz HTTP/1.1\r\nHost: x"[:30].ljust(30)
        + get(b"/nope", upgrade)
        + post(upgrade, b'{"rows": [{}]}', name=b"refused")
        + get(b"/docs", upgrade)
        + LAST
    )


@pytest.fixture(scope="module")
def app() -> ModelServer:
    return create_app(FixedSource(loaded(fitted())))


@pytest.fixture(scope="module")
def plain(app: ModelServer) -> bytes:
    return asyncio.run(converse(app, [requests(b"")]))


def test_the_requests_are_answered_as_they_should_be(plain: bytes) -> None:
    assert statuses(plain) == [200, 200, 200, 404, 404, 422, 200, 404]
    assert plain.count(b'"predictions"') == 2


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
def test_an_upgrade_header_changes_nothing(app: ModelServer, plain: bytes, upgrade: bytes) -> None:
    assert asyncio.run(converse(app, [requests(upgrade)])) == plain


def cuts(data: bytes, seed: int) -> Iterator[list[bytes]]:
    """Ways to cut into two packets, near a border of requests, and into many."""
    chance = random.Random(seed)
    borders = [place for place in range(1, len(data)) if b"\r\n\r\n" in data[max(0, place - 40) : place + 8]]
    for place in chance.sample(borders, 40):
        yield [data[:place], data[place:]]
    for count in (3, 10, 60, 61, 400):
        places = sorted({0, len(data), *(chance.randrange(1, len(data)) for _ in range(count))})
        yield [data[start:stop] for start, stop in itertools.pairwise(places)]


@pytest.mark.parametrize("upgrade", [b"", UPGRADES["Java and curl"]], ids=["without", "h2c"])
def test_the_same_bytes_in_other_packets_get_the_same_responses(app: ModelServer, plain: bytes, upgrade: bytes) -> None:
    async def all_cuts() -> None:
        for packets in cuts(requests(upgrade), seed=len(upgrade)):
            assert await converse(app, packets) == plain, [len(packet) for packet in packets]

    asyncio.run(all_cuts())


def test_every_byte_in_a_packet_of_its_own(app: ModelServer, plain: bytes) -> None:
    data = requests(UPGRADES["Java and curl"])
    assert asyncio.run(converse(app, [data[place : place + 1] for place in range(len(data))])) == plain


def test_a_broken_request_does_not_take_the_responses_of_those_before(app: ModelServer) -> None:
    async def both() -> tuple[bytes, bytes]:
        good, broken = get(b"/healthz") + post(b""), b"GET / HTTP/9.9 nonsense\r\n\r\n" + get(b"/healthz")
        return await converse(app, [good + broken]), await converse(app, [good, broken])

    together, apart = asyncio.run(both())
    assert together == apart
    assert statuses(together) == [200, 200, 400]


def test_a_request_whose_body_breaks_gets_one_response(app: ModelServer) -> None:
    async def each() -> list[bytes]:
        head = b"Transfer-Encoding: chunked\r\n"
        broken = post(head, b"5\r\nabcdefgh\r\n")
        answered = broken.replace(b"POST /predict", b"POST /nope")
        return [
            await converse(app, [broken]),
            await converse(app, [post(b"") + broken]),
            await converse(app, [answered[:-10], answered[-10:]]),
        ]

    assert [statuses(answer) for answer in asyncio.run(each())] == [[400], [200, 400], [404]]


def test_a_client_that_ends_its_own_direction_is_still_answered(app: ModelServer, plain: bytes) -> None:
    async def each() -> list[bytes]:
        whole = post(b"")
        return [
            await converse(app, [requests(b"")[: -len(LAST)]], half_close=True),
            await converse(app, [whole[:-5]], half_close=True),
            await converse(app, [whole[:30]], half_close=True),
            await converse(app, [], half_close=True),
        ]

    whole, *incomplete = asyncio.run(each())
    assert len(statuses(whole)) == 7
    assert whole.count(b'"predictions"') == 2
    assert incomplete == [b"", b"", b""]


def test_nothing_after_connect_is_read(app: ModelServer) -> None:
    for target in (b"x:80", b"/healthz"):
        answer = asyncio.run(
            converse(app, [b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n", get(b"/healthz"), LAST])
        )
        assert statuses(answer) == [400]
