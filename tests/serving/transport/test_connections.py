"""Malicious requests as raw bytes: request smuggling, and heads without an end."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_lib.serving.auth.access import Access
from platform_lib.serving.auth.api_keys import KeyRing, new_key
from platform_lib.serving.http.app import create_app
from platform_lib.serving.transport.bounded_parser import MAX_HEAD_BYTES, MAX_HEADERS
from tests.serving.live import live
from tests.serving.sample_models import FixedSource


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    keys: Path = tmp_path_factory.mktemp("keys") / "keys.yaml"
    new_key(keys, "checkout", ["predict"])
    with live(create_app(FixedSource(None), access=Access(KeyRing(keys)))) as url:
        yield int(url.rsplit(":", 1)[1])


def ask(port: int, request: bytes) -> bytes:
    """Everything that comes back until the server closes, or is silent for two seconds."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        try:
            connection.sendall(request)
            while part := connection.recv(65536):
                answer += part
        except OSError:  # silence, or a connection that was closed while we were still sending
            pass
    return answer


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + headers + b"\r\n" + body


SECOND = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
AMBIGUOUS = {
    "length and chunks": post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SECOND),
    "two lengths": post(b"Content-Length: 2\r\nContent-Length: 40\r\n", b"{}" + SECOND),
    "a list of lengths": post(b"Content-Length: 2, 2\r\n", b"{}" + SECOND),
    "negative length": post(b"Content-Length: -1\r\n", SECOND),
    "length with a sign": post(b"Content-Length: +2\r\n", b"{}" + SECOND),
    "unknown coding": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SECOND),
    "coding not last": post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + SECOND),
    "space before the colon": post(b"Content-Length : 2\r\n", b"{}" + SECOND),
    "folded header": post(b"X-A: a\r\n Content-Length: 40\r\nContent-Length: 2\r\n", b"{}" + SECOND),
    "bare line feeds": b"POST /predict HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}" + SECOND,
    "bad chunk size": post(b"Transfer-Encoding: chunked\r\n", b"0x1\r\na\r\n0\r\n\r\n" + SECOND),
    "NUL in a header": post(b"X-A: a\x00b\r\nContent-Length: 2\r\n", b"{}" + SECOND),
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_nothing_after_it_is_read(port: int, request_bytes: bytes) -> None:
    answer = ask(port, request_bytes)
    statuses = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert b"HTTP/1.1 400 Bad Request" in statuses
    assert b"HTTP/1.1 200 OK" not in statuses


TOO_LARGE = {
    "one header": b"X-A: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n",
    "a token": b"Authorization: Bearer " + b"a" * (2 * MAX_HEAD_BYTES) + b"\r\n",
    "many headers": b"".join(b"X-%d: a\r\n" % number for number in range(MAX_HEADERS + 1)),
    "many bytes in some headers": b"".join(b"X-%d: " % number + b"a" * 8000 + b"\r\n" for number in range(10)),
    "without an end": b"X-A: " + b"a" * 2_000_000,
}


@pytest.mark.parametrize("headers", TOO_LARGE.values(), ids=TOO_LARGE)
def test_an_oversized_head_is_refused(port: int, headers: bytes) -> None:
    assert ask(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n").startswith(b"HTTP/1.1 431 ")


def test_an_oversized_target_is_refused(port: int) -> None:
    answer = ask(port, b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def test_many_requests_of_one_connection_do_not_count_as_one_large_head(port: int) -> None:
    some = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n"
    answer = ask(port, some * 10)
    assert answer.count(b"HTTP/1.1 200 OK") == 10


def test_a_body_larger_than_the_head_limit_does_not_count_as_head(port: int) -> None:
    body = b" " * (4 * MAX_HEAD_BYTES)
    answer = ask(port, post(b"Content-Length: %d\r\n" % len(body), body) + SECOND)
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_the_callers_host_header_appears_in_no_response(port: int) -> None:
    for path in (b"/v2/", b"/docs/", b"//evil.invalid/%2e%2e", b"/predict/"):
        answer = ask(port, b"GET " + path + b" HTTP/1.1\r\nHost: evil.invalid\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"location" not in answer.lower()


def test_websockets_are_refused(port: int) -> None:
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    assert b"101 Switching" not in ask(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n")
