"""Who can open a connection to the model server, with or without a key, cannot slow, fill, confuse or outlast it."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from benchmarks.serving.pauses import after_pauses, traefik, wait_for
from platform_lib.serving.auth.api_keys import new_key
from platform_lib.serving.settings import KEEP_ALIVE_S
from platform_lib.serving.telemetry.metrics_server import MOST_CONNECTIONS
from platform_lib.serving.transport.bounded_parser import MAX_HEAD_BYTES
from tests.conftest import free_port
from tests.engines import need_engine
from tests.serving.people_server import PeopleServer, people_server
from tests.serving.sample_models import rows
from tests.serving.transport.wire import statuses
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")]

FILES = 300
TRAEFIK_IDLE_S = 90
"""Its default for idle connections to servers (`forwardingTimeouts.idleConnTimeout`)."""
MIB = 2**20
SHORT_TIMES = f"""
import resource
from platform_lib.serving import settings
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
settings.HEAD_TIMEOUT_S = settings.WRITE_TIMEOUT_S = 2.0
"""
BODY = json.dumps({"rows": rows(1)}).encode()


class Victim:
    """The server under attack."""

    def __init__(self, server: PeopleServer, key: str) -> None:
        self.server, self.key = server, key
        address = urlsplit(server.url)
        self.address = (address.hostname or "", address.port or 0)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.address, timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def memory(self) -> int:
        return int(psutil.Process(self.server.process.pid).memory_info().rss)

    def serves(self) -> bool:
        answer = httpx.post(
            f"{self.server.url}/predict", json={"rows": rows(1)}, headers={"Authorization": f"Bearer {self.key}"}
        )
        return answer.status_code == 200

    def post(self, headers: bytes = b"", body: bytes = BODY) -> bytes:
        key = b"Authorization: Bearer " + self.key.encode() + b"\r\n"
        return head(b"POST /predict", key + headers + b"Content-Length: %d\r\n" % len(body)) + body


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim")
    key = new_key(folder / "keys.yaml", "checkout", ["predict"])
    arguments = ["--keys", str(folder / "keys.yaml"), "--keep-alive-s", "3", "--body-timeout-s", "2"]
    with people_server(folder / "server", *arguments, before=SHORT_TIMES) as server:
        yield Victim(server, key)


def head(start: bytes, headers: bytes = b"") -> bytes:
    return start + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + b"\r\n"


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionError:  # closed with data of ours unread
        pass
    return found


def flood(connection: socket.socket, part: bytes, total: int) -> None:
    """Send a part again and again, until all is sent, or the server reads no more or has closed."""
    connection.settimeout(0.5)
    try:
        for _ in range(total // len(part)):
            connection.sendall(part)
    except OSError:
        pass
    connection.settimeout(30)


# Confusing it: request smuggling


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0", b"foo"])
def test_upgrade_swallows_no_request(victim: Victim, protocol: bytes) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n"
    request, hidden = victim.post(upgrade), head(b"GET /healthz")
    close = head(b"GET /model", b"Connection: close\r\n")
    with closing(victim.connect()) as connection:
        for part in (request[:-40], request[-40:], hidden, request + hidden, close):
            connection.sendall(part)
        found = received(connection)
    assert statuses(found) == [200, 200, 200, 200, 401]
    assert found.count(b'"predictions"') == 2


def test_curls_upgrade_to_http2_gets_its_prediction(victim: Victim) -> None:
    curl = shutil.which("curl")
    if curl is None or "HTTP2" not in subprocess.run([curl, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("curl with HTTP/2 is not on this machine")
    command = [curl, "-s", "--http2", "-H", f"Authorization: Bearer {victim.key}"]
    command += ["-H", "Content-Type: application/json", "-d", BODY.decode(), f"{victim.server.url}/predict"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert len(json.loads(done.stdout)["predictions"]) == 1


def test_a_key_in_a_trailer_opens_nothing(victim: Victim) -> None:
    trailer = b"Authorization: Bearer " + victim.key.encode() + b"\r\n"
    body = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(BODY), BODY, trailer)
    request = head(b"POST /predict", b"Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n") + body
    with closing(victim.connect()) as connection:
        connection.sendall(request + head(b"GET /healthz", b"Connection: close\r\n"))
        assert statuses(received(connection)) == [401, 200]


@pytest.mark.parametrize(
    "length", [b"0" * 5000 + b"%d" % len(BODY), b"9" * 19, b"1" * 400], ids=["zeros", "large", "long"]
)
def test_a_strange_content_length_is_the_clients_error(victim: Victim, length: bytes) -> None:
    request = victim.post().replace(b"Content-Length: %d" % len(BODY), b"Content-Length: " + length)
    with closing(victim.connect()) as connection:
        connection.sendall(request)
        assert statuses(received(connection)) in ([400], [413])


# Filling it: bytes without an end

ENDLESS = {
    "a header": (head(b"GET /healthz")[:-2] + b"X-A: ", b"a"),
    "headers": (head(b"GET /healthz")[:-2], b"X-A: a\r\n"),
    "a target": (b"GET /", b"a"),
    "a trailer": (head(b"POST /predict", b"Transfer-Encoding: chunked\r\n") + b"0\r\nX-A: ", b"a"),
    "trailers": (head(b"POST /predict", b"Transfer-Encoding: chunked\r\n") + b"0\r\n", b"X-A: a\r\n"),
    "a chunk's extension": (head(b"POST /predict", b"Transfer-Encoding: chunked\r\n") + b"5;", b"a"),
    "empty lines": (b"", b"\r\n"),
    "requests for nothing": (b"", b"GET /nope HTTP/1.1\r\n\r\n"),
    "requests without a key": (b"", head(b"POST /predict", b"Content-Length: 2\r\n") + b"{}"),
    "upgrades": (b"", head(b"GET /nope", b"Upgrade: h2c\r\nConnection: upgrade\r\n")),
}


@pytest.mark.parametrize(("begin", "part"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_fills_no_memory(victim: Victim, begin: bytes, part: bytes) -> None:
    assert victim.serves()
    before = victim.memory()
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(closing(victim.connect()))
            connection.sendall(begin)
            flood(connection, part * (MAX_HEAD_BYTES // len(part)), 4 * MIB)
        assert victim.serves()
        assert victim.memory() - before < 16 * MIB


def test_many_large_heads_that_wait_fill_no_memory(victim: Victim) -> None:
    before = victim.memory()
    with ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(closing(victim.connect()))
            connection.sendall(head(b"GET /healthz", b"X-A: " + b"a" * 60_000 + b"\r\n") + b"GET / HT")
        assert victim.serves()
        assert victim.memory() - before < 40 * MIB


def test_two_hundred_pipelined_requests_are_answered_in_order(victim: Victim) -> None:
    kinds = [(head(b"GET /healthz"), 200), (victim.post(), 200), (victim.post(body=b"{"), 400)]
    kinds += [(head(b"GET /nope"), 404), (head(b"GET /model"), 401)]
    order = [kinds[number * number % 7 % len(kinds)] for number in range(200)]
    last = head(b"GET /last", b"Connection: close\r\n")
    with closing(victim.connect()) as connection:
        connection.sendall(b"".join(request for request, _ in order) + last)
        assert statuses(received(connection)) == [*(status for _, status in order), 404]


# Outlasting it: connections that wait

UNFINISHED = {
    "half a head": (head(b"GET /healthz")[:20], [408]),
    "half a second head": (head(b"GET /healthz") * 2 + b"GET /", [200, 200, 408]),
    "nothing": (b"", []),
    "nothing after a request": (head(b"GET /healthz"), [200]),
    "empty lines": (b"\r\n", []),
    "half a body": (head(b"POST /nope", b"Content-Length: 100\r\n") + b"a", [404]),
}


@pytest.mark.parametrize(("sent", "expected"), UNFINISHED.values(), ids=UNFINISHED)
def test_who_stops_half_way_is_closed(victim: Victim, sent: bytes, expected: list[int]) -> None:
    with closing(victim.connect()) as connection:
        connection.sendall(sent)
        assert statuses(received(connection)) == expected


def test_who_sends_a_byte_now_and_then_is_closed(victim: Victim) -> None:
    with closing(victim.connect()) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-A: ")
        connection.settimeout(0.2)

        def closed() -> bytes:
            try:
                connection.sendall(b"a")
                return connection.recv(65536)
            except TimeoutError:
                return b""

        assert wait_until(closed).startswith(b"HTTP/1.1 408 ")


def test_who_reads_no_response_is_closed(victim: Victim) -> None:
    with closing(victim.connect()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        port = connection.getsockname()[1]
        flood(connection, head(b"GET /openapi.json") * 50, MIB)
        server = psutil.Process(victim.server.process.pid)

        def is_closed() -> bool:
            return port not in {found.raddr.port for found in server.net_connections("tcp") if found.raddr}

        wait_until(is_closed)


def test_more_idle_connections_than_files_keep_nobody_out(victim: Victim) -> None:
    with ExitStack() as stack:
        for number in range(FILES + 100):
            connection = stack.enter_context(closing(victim.connect()))
            if number % 3 == 0:
                connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            elif number % 3 == 1:
                connection.sendall(head(b"GET /healthz"))
        assert all(victim.serves() for _ in range(5))


def test_connections_to_the_metrics_port_keep_nobody_out(victim: Victim) -> None:
    address = urlsplit(victim.server.metrics_url)
    with ExitStack() as stack:
        for number in range(FILES):
            connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=30)
            stack.enter_context(closing(connection))
            if number % 2:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        assert victim.server.metric("mlp_requests_total") > 0
        assert victim.serves()
        assert psutil.Process(victim.server.process.pid).num_threads() < 3 * MOST_CONNECTIONS


def test_a_pause_of_any_length_behind_traefik_breaks_no_request(victim: Victim, tmp_path: Path) -> None:
    """The server outlives Traefik's idle connections; their real limits are 120 and 90 s, here 3 and 2 s."""
    assert KEEP_ALIVE_S > TRAEFIK_IDLE_S + 2
    idle = "--serverstransport.forwardingtimeouts.idleconntimeout=2s"
    headers = {"Authorization": f"Bearer {victim.key}"}
    with traefik(need_engine("traefik"), tmp_path, free_port(), victim.server.url, idle) as url:

        async def ask() -> list[int]:
            await wait_for(url)
            return await after_pauses(url, BODY, headers, [1.95, 2, 2.05, 2.95, 3.05, 3.2], requests=8)

        assert set(asyncio.run(ask())) == {200}
