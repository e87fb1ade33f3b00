"""The guard in front of MLflow and Prefect, before a small application that answers every request."""

import re
from dataclasses import replace

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from platform_lib.local_login import sign
from platform_lib.local_platform.guard import Guard, Site

SITE = Site(
    service="mlflow",
    port=5000,
    password="secret",
    stored={"theme": '"</script>"'},
    open_paths=frozenset({"/health"}),
)
LOGIN = ("mlp", "secret")
PAGE = {"Accept": "text/html,*/*"}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
    else:
        await PlainTextResponse("inside")(scope, receive, send)


@pytest.fixture
def browser() -> TestClient:
    return TestClient(Guard(application, SITE), base_url="http://127.0.0.1:5000")


def ticket(*, password: str = "secret", service: str = "mlflow", use: str = "ticket") -> str:
    return sign(password, service, use)


def test_only_the_password_opens(browser: TestClient) -> None:
    assert browser.get("/x").status_code == 401
    for wrong in (("mlp", ""), ("mlp", "secre"), ("mlp", "secret "), ("", "secret"), ("MLP", "secret")):
        assert browser.post("/x", auth=wrong).status_code == 401, wrong
    assert browser.get("/x", headers={"Authorization": "Bearer secret"}).status_code == 401
    assert browser.post("/x", auth=LOGIN).text == "inside"


def test_the_health_check_needs_no_password_and_paths_like_it_do(browser: TestClient) -> None:
    assert browser.get("/health").text == "inside"
    for path in ("/health/", "/health/x", "/x/health", "//health", "/HEALTH"):
        assert browser.get(f"http://127.0.0.1:5000{path}").status_code == 401, path


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "127.0.0.1", "localhost:5000", "LOCALHOST:9999", "[::1]:5000"])
def test_names_of_this_machine_are_right_at_every_port(browser: TestClient, host: str) -> None:
    assert browser.get("/x", auth=LOGIN, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5000",
        "127.0.0.1.evil.example",
        "localhost.evil.example:5000",
        "127.0.0.1@evil",
        "evil.example:x",
        "",
    ],
)
def test_another_host_name_is_refused_whoever_asks(browser: TestClient, host: str) -> None:
    for path in ("/x", "/health"):
        assert browser.get(path, auth=LOGIN, headers={"Host": host}).status_code == 421, path


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://localhost:9999",
        "https://evil.example:5000",
        "http://127.0.0.1",
        "",
    ],
)
def test_pages_of_another_origin_are_refused_whoever_asks(browser: TestClient, origin: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        answer = browser.request(method, "/x", auth=LOGIN, headers={"Origin": origin})
        assert answer.status_code == 403, method
        assert "access-control-allow-origin" not in answer.headers


def test_its_own_pages_are_served_under_each_name_of_this_machine(browser: TestClient) -> None:
    own = ["http://127.0.0.1:5000", "http://localhost:5000"]
    assert [browser.post("/x", auth=LOGIN, headers={"Origin": origin}).status_code for origin in own] == [200, 200]
    forwarded = {"Host": "localhost:7000", "Origin": "http://localhost:7000"}
    assert browser.post("/x", auth=LOGIN, headers=forwarded).status_code == 200


def test_a_link_logs_a_browser_in_once(browser: TestClient) -> None:
    path = f"/runs/1?a=b&ticket={ticket()}"
    welcome = browser.get(path, headers=PAGE)
    assert welcome.status_code == 200
    assert '"/runs/1?a=b"' in welcome.text
    assert "secret" not in welcome.text
    assert welcome.headers["cache-control"] == "no-store"
    cookie = welcome.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "secret" not in cookie
    assert browser.get("/runs/1").text == "inside"

    another = TestClient(browser.app, base_url="http://127.0.0.1:5000")
    refused = another.get(path, headers=PAGE)
    assert refused.status_code == 401
    assert "used before" in refused.text
    assert "set-cookie" not in refused.headers
    assert another.get("/runs/1").status_code == 401


def test_text_of_a_link_cannot_leave_the_script_of_the_login_page(browser: TestClient) -> None:
    welcome = browser.get(f"/%3C/script%3E%5Cevil.example?x=%3C/script%3E&ticket={ticket()}").text
    script = welcome.partition("<script")[2]
    assert script.count("</script>") == 1
    assert '"/%3C/script%3E%5Cevil.example?' in script
    assert "location.replace(page" in script


def test_a_login_goes_to_this_site_only(browser: TestClient) -> None:
    for path in ("//evil.example/", "/\\evil.example/", "/%5C%5Cevil.example/"):
        page = browser.get(f"http://127.0.0.1:5000{path}?ticket={ticket()}").text
        target = re.search(r'"(/[^"]*)"\];', page)
        assert target is not None, path
        assert not re.match(r"/[/\\]", target[1]), path


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: ticket(password="other"), id="another password"),
        pytest.param(lambda: ticket(service="prefect"), id="another service"),
        pytest.param(lambda: ticket(use="session"), id="a session"),
        pytest.param(lambda: ticket()[:-1] + "0" * 2, id="a changed signature"),
        pytest.param(lambda: f"f{ticket()}", id="a changed time"),
        pytest.param(lambda: "", id="empty"),
        pytest.param(lambda: "ä--", id="not a token"),
    ],
)
def test_a_wrong_ticket_opens_nothing(browser: TestClient, token: "object") -> None:
    assert callable(token)
    answer = browser.get("/x", params={"ticket": token()})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_ticket_from_before_the_start_or_of_yesterday_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    early, now = ticket(), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10)
    browser = TestClient(Guard(application, SITE), base_url="http://127.0.0.1:5000")
    assert browser.get(f"/x?ticket={early}").status_code == 401
    fresh = ticket()
    monkeypatch.setattr(time, "time", lambda: now + 24 * 3600)
    assert browser.get(f"/x?ticket={fresh}").status_code == 401


def test_a_session_ends_and_is_of_one_service(monkeypatch: pytest.MonkeyPatch, browser: TestClient) -> None:
    import time

    browser.cookies.set("mlp-mlflow-5000", sign("secret", "prefect", "session"))
    assert browser.get("/x").status_code == 401
    browser.cookies.set("mlp-mlflow-5000", sign("secret", "mlflow", "session"))
    assert browser.get("/x").status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 8 * 24 * 3600)
    assert browser.get("/x").status_code == 401


def test_a_browser_is_told_how_to_get_in(browser: TestClient) -> None:
    assert "mlp status" in browser.get("/", headers=PAGE).text
    assert "mlp status --env" in browser.get("/").json()["message"]


def test_pages_may_contact_no_other_machine(browser: TestClient) -> None:
    policy = browser.get("/x", auth=LOGIN).headers["content-security-policy"]
    sources = {word for rule in policy.split(";") for word in rule.split()[1:] if not word.startswith("'")}
    assert sources == {"data:", "blob:"} | {
        f"{scheme}://{name}:5000" for scheme in ("http", "ws") for name in ("127.0.0.1", "localhost")
    }


def test_an_application_that_checks_its_callers_itself_gets_their_requests() -> None:
    """Prefect: the login page stores the password where its pages look for it, and sets no cookie."""
    site = replace(SITE, service="prefect", checks_login=True)
    browser = TestClient(Guard(application, site), base_url="http://127.0.0.1:5000")
    assert browser.post("/api/x").text == "inside"
    assert browser.get("/api/x", headers={"Host": "evil.example"}).status_code == 421
    welcome = browser.get(f"/?ticket={ticket(service='prefect')}")
    assert '"theme"' in welcome.text
    assert "set-cookie" not in welcome.headers


def test_websockets_are_checked_as_requests_are(browser: TestClient) -> None:
    for headers in ({}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect) as refused, browser.websocket_connect("/ws", headers=headers):
            pass
        assert refused.value.code == 1008
