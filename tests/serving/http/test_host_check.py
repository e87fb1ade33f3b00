"""Host and Origin of requests to a server on loopback."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, start_http_server

from platform_lib.errors import UsageError
from platform_lib.serving.http.app import create_app
from platform_lib.serving.http.host_check import HostCheck, names_on
from platform_lib.serving.http.metrics_host import check_hosts_of
from tests.serving.live import live
from tests.serving.sample_models import FixedSource, fitted, loaded

ROW: dict[str, list[dict[str, str]]] = {"rows": [{}]}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    names = names_on("127.0.0.1", ["models.example.com"])
    assert names is not None
    check = HostCheck(names, origins=["https://shop.example.com"])
    with live(create_app(FixedSource(loaded(fitted())), host_check=check)) as address:
        yield address


@pytest.mark.parametrize(
    ("host", "is_accepted"),
    [
        ("127.0.0.1:8000", True),
        ("127.0.0.1", True),
        ("localhost:9999", True),
        ("LocalHost", True),
        ("[::1]:8000", True),
        ("models.example.com", True),
        ("models.example.com:443", True),
        ("evil.example:8000", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8000", False),
        ("models.example.com.evil.example", False),
        ("xmodels.example.com", False),
        ("localhost:8000@evil.example", False),
        ("[::1]evil", False),
        ("", False),
    ],
)
def test_only_its_own_names_are_answered(url: str, host: str, *, is_accepted: bool) -> None:
    for method, path in (
        ("GET", "/model"),
        ("GET", "/healthz"),
        ("GET", "/nothing"),
        ("POST", "/predict"),
        ("POST", "/invocations"),
    ):
        answer = httpx.request(method, f"{url}{path}", headers={"Host": host}, json=ROW if method == "POST" else None)
        assert (answer.status_code != 421) == is_accepted, (method, path)
        if not is_accepted:
            document = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert document["request_id"] == answer.headers["x-request-id"]
            assert "--allowed-host" in document["detail"]


@pytest.mark.parametrize(
    ("origin", "is_accepted"),
    [
        ("http://evil.example", False),
        ("null", False),
        ("http://127.0.0.1:9", False),
        ("http://localhost:3000", False),
        ("https://shop.example.com.evil.example", False),
        ("https://shop.example.com", True),
        ("https://models.example.com", True),
    ],
)
def test_pages_of_other_origins_send_nothing(url: str, origin: str, *, is_accepted: bool) -> None:
    answer = httpx.post(f"{url}/predict", headers={"Origin": origin}, json=ROW)
    assert (answer.status_code != 403) == is_accepted
    assert is_accepted or "--cors-origin" in answer.json()["detail"]
    assert httpx.get(f"{url}/healthz", headers={"Origin": origin}).status_code == 200, "nothing changes by reading"


def test_its_own_documentation_may_send(url: str) -> None:
    assert httpx.post(f"{url}/predict", headers={"Origin": url}, json=ROW).status_code == 422


def test_metrics_are_checked_too() -> None:
    server, _ = start_http_server(0, "127.0.0.1", CollectorRegistry())
    try:
        check_hosts_of(server, HostCheck(names_on("127.0.0.1", []) or ()))
        url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
        assert httpx.get(url).status_code == 200
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 421
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_for_other_machines_accepts_every_host() -> None:
    """Probes send the pod's address, and callers need keys."""
    assert names_on("0.0.0.0", []) is None
    assert names_on("::", []) is None


def test_an_address_on_loopback_is_a_name() -> None:
    assert "127.0.0.2" in (names_on("127.0.0.2", []) or ())
    assert "[::1]" in (names_on("::1", []) or ())


@pytest.mark.parametrize(
    "name", ["https://models.example.com", "models.example.com:443", "models.example.com/x", "", "a b@c"]
)
def test_a_name_that_is_none_is_refused_at_start(name: str) -> None:
    with pytest.raises(UsageError, match="--allowed-host is"):
        names_on("127.0.0.1", [name])


def test_names_for_a_server_that_accepts_every_host_are_refused_at_start() -> None:
    with pytest.raises(UsageError, match="on loopback only"):
        names_on("0.0.0.0", ["models.example.com"])
