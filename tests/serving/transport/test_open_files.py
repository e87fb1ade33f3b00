"""The server raises its limit of open files at start, so that idle connections keep nobody out."""

import resource
import socket
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.serving.faulty import open_files
from tests.serving.people_server import people_server
from tests.serving.sample_models import rows

pytestmark = [pytest.mark.slow]

CONNECTIONS = 1_100


def test_more_idle_connections_than_the_shells_limit_do_not_affect_requests(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4_096:
        pytest.skip("the hard limit of open files is too low")
    with ExitStack() as stack:
        server = stack.enter_context(people_server(tmp_path, open_files=1_024))
        stack.enter_context(open_files(4_096))
        address = urlsplit(server.url)
        for _ in range(CONNECTIONS):
            stack.enter_context(closing(socket.create_connection((address.hostname, address.port or 0))))
        statuses = [httpx.post(f"{server.url}/predict", json={"rows": rows(1)}, timeout=10) for _ in range(5)]
        assert [response.status_code for response in statuses] == [200] * 5
