"""Complete requests take a direct path through the server.

However requests arrive, callers get the same responses in the same order.
"""

import json
import re
import socket
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from platform_lib.serving.http.app import create_app
from platform_lib.serving.transport.uvicorn_response import UvicornDirectResponse
from tests.serving.live import live
from tests.serving.sample_models import FixedSource, fitted, loaded, rows

BODIES = [json.dumps({"rows": rows(count, seed=count)}).encode() for count in (1, 3, 200)]


@pytest.fixture(scope="module")
def source() -> FixedSource:
    return FixedSource(loaded(fitted()))


@pytest.fixture(scope="module")
def port(source: FixedSource) -> Iterator[int]:
    with live(create_app(source)) as url:
        yield int(url.rsplit(":", 1)[1])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each response took the direct path."""
    taken: list[bool] = []
    real = UvicornDirectResponse.respond

    def respond(self: UvicornDirectResponse, headers: bytes, body: bytes) -> bool:
        taken.append(real(self, headers, body))
        return taken[-1]

    monkeypatch.setattr(UvicornDirectResponse, "respond", respond)
    return taken


def post(body: bytes, headers: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST /predict HTTP/%b\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        version,
        len(body),
        headers,
        body,
    )


def answers(port: int, *packets: bytes, count: int) -> list[tuple[int, dict[str, str], bytes]]:
    """Send packets one after the other; return status, headers and body of a number of responses."""
    found: list[tuple[int, dict[str, str], bytes]] = []
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for packet in packets:
            connection.sendall(packet)
        stream = connection.makefile("rb")
        while len(found) < count:
            status = int(stream.readline().split()[1])
            headers = {}
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                headers[name] = value
            found.append((status, headers, stream.read(int(headers.get("content-length", 0)))))
    return found


@pytest.fixture(scope="module")
def expected(source: FixedSource) -> list[list[str]]:
    with TestClient(create_app(source)) as ordinary:
        return [
            ordinary.post("/predict", content=body, headers={"Content-Type": "application/json"}).json()["predictions"]
            for body in BODIES
        ]


def test_a_complete_request_takes_the_direct_path_and_gets_a_full_response(
    port: int, short: list[bool], expected: list[list[str]]
) -> None:
    (status, headers, body), *_ = answers(port, post(BODIES[1], b"X-Request-ID: mine\r\n"), count=1)
    assert short == [True]
    assert status == 200
    assert set(headers) == {"date", "content-length", "content-type", "x-request-id"}
    assert headers["x-request-id"] == "mine"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
    assert json.loads(body)["predictions"] == expected[1]


def test_pipelined_requests_get_responses_in_order(port: int, expected: list[list[str]]) -> None:
    order = [0, 2, 1, 1, 0, 2]
    found = answers(port, b"".join(post(BODIES[place]) for place in order), count=len(order))
    assert [json.loads(body)["predictions"] for _, _, body in found] == [expected[place] for place in order]


def test_a_request_that_arrives_in_parts_gets_the_same_response(port: int, expected: list[list[str]]) -> None:
    request = post(BODIES[1])
    for cut in (20, len(request) - len(BODIES[1]), len(request) - 1):
        ((status, _, body),) = answers(port, request[:cut], request[cut:], count=1)
        assert (status, json.loads(body)["predictions"]) == (200, expected[1])


@pytest.mark.parametrize(
    "request_bytes", [post(BODIES[0], b"Connection: close\r\n"), post(BODIES[0], version=b"1.0")], ids=["close", "1.0"]
)
def test_a_connection_to_be_closed_is_closed_with_a_header(
    port: int, request_bytes: bytes, short: list[bool], expected: list[list[str]]
) -> None:
    ((status, headers, body),) = answers(port, request_bytes, count=1)
    assert short == [False]
    assert (status, headers["connection"], json.loads(body)["predictions"]) == (200, "close", expected[0])


def test_a_client_that_expects_100_continue_gets_it(port: int) -> None:
    head = post(BODIES[0], b"Expect: 100-continue\r\n")[: -len(BODIES[0])]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODIES[0])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_connection_stays_open_after_a_refusal(port: int, expected: list[list[str]]) -> None:
    found = answers(port, post(b'{"rows": [{}]}') + post(BODIES[0]), count=2)
    assert [status for status, _, _ in found] == [422, 200]
    assert json.loads(found[1][2])["predictions"] == expected[0]
