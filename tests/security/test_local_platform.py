"""What `mlp up` starts is its user's alone: not other users' of the machine, and not the pages' that are open there."""

import base64
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from platform_lib.local_login import password
from platform_lib.local_platform import processes
from platform_lib.local_platform.state import PlatformState
from platform_lib.settings import Project
from tests.browser import browser as need_browser
from tests.browser import visit
from tests.conftest import run_mlp
from tests.local_platform.running import SHARES_THE_PLATFORM, address, client, login

pytestmark = SHARES_THE_PLATFORM

BODY = {"Content-Type": "application/json"}
CALLERS = {
    "another user": {},
    "a page of evil.example": {"Origin": "http://evil.example"},
    "a page of another user on this machine": {"Origin": "http://127.0.0.1:9999"},
    "a file": {"Origin": "null"},
    "a page whose name resolves to this machine": {"Host": "evil.example"},
}
each_caller = pytest.mark.parametrize("headers", CALLERS.values(), ids=CALLERS)
REFUSALS = (401, 403, 421)


@pytest.fixture(scope="module")
def deployment(platform: Project) -> str:
    with client(platform, "prefect") as prefect:
        found = prefect.get(f"/api/deployments/name/{platform.name}/train").json()
    return str(found["id"])


@pytest.fixture(scope="module")
def links(platform: Project) -> dict[str, str]:
    """Title → link, as `mlp up` prints them."""
    lines = run_mlp(platform, "up").stdout.splitlines()
    return {line[: line.index("http")].strip(): line[line.index("http") :] for line in lines}


@each_caller
def test_nobody_else_can_let_the_runner_start_a_program(
    platform: Project, deployment: str, headers: dict[str, str], tmp_path: Path
) -> None:
    url, mark = f"{address(platform, 'prefect')}/api/deployments", tmp_path / "started"
    step = {"prefect.deployments.steps.run_shell_script": {"script": f"touch {mark}"}}
    answers = [
        httpx.get(f"{url}/{deployment}", headers=headers),
        httpx.patch(f"{url}/{deployment}", headers=BODY | headers, json={"pull_steps": [step]}),
        httpx.post(f"{url}/{deployment}/create_flow_run", headers=BODY | headers, json={}),
        httpx.post(
            f"{url}/{deployment}/create_flow_run", headers={"Content-Type": "text/plain"} | headers, content="{}"
        ),
    ]
    assert [answer.status_code in REFUSALS for answer in answers] == [True] * 4, answers
    with client(platform, "prefect") as prefect:
        assert prefect.get(f"/api/deployments/{deployment}").json()["pull_steps"] in (None, [])
    assert not mark.exists()


def test_every_changing_route_of_prefect_asks_for_the_password(platform: Project) -> None:
    with client(platform, "prefect") as prefect:
        paths = prefect.get("/api/openapi.json").json()["paths"]
    routes = [
        (method.upper(), re.sub(r"\{[^}]*\}", "00000000-0000-0000-0000-000000000000", path))
        for path, operations in paths.items()
        for method in operations
        if method in ("post", "put", "patch", "delete")
    ]
    assert len(routes) > 100
    with httpx.Client(base_url=f"{address(platform, 'prefect')}/api") as stranger:
        found = {route: stranger.request(*route, json={}).status_code for route in routes}
    assert {route: code for route, code in found.items() if code != 401} == {}


@pytest.mark.parametrize("path", ["events/in", "events/out", "logs/out"])
def test_prefects_websockets_ask_for_the_password_and_refuse_pages_of_others(platform: Project, path: str) -> None:
    url = f"{address(platform, 'prefect').replace('http', 'ws')}/api/{path}"

    def is_open(password: str | None, origin: str | None = None) -> bool:
        try:
            with connect(url, subprotocols=["prefect"], origin=origin, proxy=None) as socket:  # type: ignore[list-item,arg-type]
                socket.send(json.dumps({"type": "auth", "token": password}))
                return bool(json.loads(socket.recv(10))["type"] == "auth_success")
        except WebSocketException:
            return False

    right = ":".join(login(platform, "prefect"))
    assert is_open(right)
    assert not is_open(None)
    assert not is_open("mlp:wrong")
    assert not is_open(right, "http://evil.example")


@each_caller
def test_nobody_else_reads_or_changes_anything_in_mlflow(platform: Project, headers: dict[str, str]) -> None:
    """MLflow reads files where a run says that its artifacts are, and its assistant starts programs."""
    with httpx.Client(base_url=address(platform, "mlflow"), headers=headers) as stranger:
        answers = [
            stranger.post("/api/2.0/mlflow/experiments/create", json={"name": "x", "artifact_location": "file:///etc"}),
            stranger.get("/api/2.0/mlflow/experiments/search?max_results=1"),
            stranger.get("/ajax-api/2.0/mlflow/experiments/search?max_results=1"),
            stranger.get(f"/api/2.0/mlflow/registered-models/alias?name={platform.name}&alias=champion"),
            stranger.request(
                "DELETE", "/api/2.0/mlflow/registered-models/alias", json={"name": platform.name, "alias": "champion"}
            ),
            stranger.post("/graphql", json={"query": "{__typename}"}),
            stranger.get("/get-artifact?path=passwd&run_uuid=1"),
            stranger.get("/ajax-api/3.0/mlflow/assistant/config"),
            stranger.post("/v1/traces", content=b""),
            stranger.get("/version"),
            stranger.get("/"),
            stranger.get("/health/../api/2.0/mlflow/experiments/search"),
        ]
    assert [answer.status_code in REFUSALS for answer in answers] == [True] * len(answers), answers


@pytest.mark.parametrize("service", ["mlflow", "prefect"])
def test_the_password_does_not_help_a_page_of_others(platform: Project, service: str) -> None:
    """A browser may add a login of its own accord."""
    paths = {"mlflow": "/api/2.0/mlflow/experiments/search?max_results=1", "prefect": "/api/admin/version"}
    with client(platform, service) as owner:
        assert owner.get(paths[service]).status_code == 200
        for headers in list(CALLERS.values())[1:]:
            for method in ("GET", "POST", "OPTIONS"):
                asks = {"Access-Control-Request-Method": "PATCH"} if method == "OPTIONS" else {}
                answer = owner.request(method, paths[service], headers=headers | asks)
                assert answer.status_code in (403, 421), (method, headers)
                assert "access-control-allow-origin" not in answer.headers


def test_the_model_server_answers_by_its_own_names_only(platform: Project) -> None:
    url = address(platform, "models")
    for path in ("/model", "/openapi.json", "/docs", "/predict"):
        assert httpx.get(f"{url}{path}", headers={"Host": "evil.com:8000"}).status_code == 421, path
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert httpx.post(f"{url}/predict", headers=headers, json={"rows": [{}]}).status_code in (403, 421)
    port = urlsplit(url).port
    assert httpx.get(f"http://localhost:{port}/model").status_code == 200


def test_nobody_can_stop_the_runner(platform: Project) -> None:
    url = address(platform, "runner")
    for method, path in (("POST", "/shutdown"), ("POST", "/health"), ("PUT", "/"), ("DELETE", "/")):
        assert httpx.request(method, f"{url}{path}").status_code == 501
    assert httpx.get(f"{url}/health").status_code == 200


def test_the_password_is_in_one_file_that_only_its_owner_reads(platform: Project, links: dict[str, str]) -> None:
    secrets = [password(platform) or "", login(platform, "mlflow")[1], login(platform, "prefect")[1]]
    run_mlp(platform, "status")
    suffixes = ("", ".json", ".log", ".1", ".toml", ".db")
    holders = [
        file
        for file in platform.state_dir.rglob("*")
        if file.is_file() and file.suffix in suffixes
        if any(secret.encode() in file.read_bytes() for secret in secrets)
    ]
    assert [file.name for file in holders] == ["platform-password"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    family = [
        member
        for record in PlatformState(platform.root).load().values()
        for member in processes.tree(psutil.Process(record.pid))
    ]
    said = [*(" ".join(member.cmdline()) for member in family), *links.values(), run_mlp(platform, "status").stdout]
    assert [text for text in said if any(secret in text for secret in secrets)] == []


def test_each_password_opens_one_service_and_the_projects_none(platform: Project) -> None:
    paths = {"mlflow": "/api/2.0/mlflow/experiments/search?max_results=1", "prefect": "/api/admin/version"}
    given = {"mlflow": login(platform, "mlflow"), "prefect": login(platform, "prefect")}
    given["project"] = ("mlp", password(platform) or "")
    for service, path in paths.items():
        url = f"{address(platform, service)}{path}"
        found = {name: httpx.get(url, auth=auth).status_code for name, auth in given.items()}
        assert found == dict.fromkeys(given, 401) | {service: 200}


def test_only_its_owner_gets_the_login_for_other_programs(platform: Project) -> None:
    shown = dict(
        line.removeprefix("export ").split("=", 1) for line in run_mlp(platform, "status", "--env").stdout.splitlines()
    )
    assert shown == {
        "MLFLOW_TRACKING_URI": address(platform, "mlflow"),
        "MLFLOW_TRACKING_USERNAME": "mlp",
        "MLFLOW_TRACKING_PASSWORD": login(platform, "mlflow")[1],
        "PREFECT_API_URL": f"{address(platform, 'prefect')}/api",
        "PREFECT_API_AUTH_STRING": ":".join(login(platform, "prefect")),
    }


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(headers={"Accept": "text/html,*/*"}) as made:
        yield made


def test_mlflows_link_opens_the_projects_runs_once(
    platform: Project, links: dict[str, str], browser: httpx.Client
) -> None:
    link = urlsplit(links["MLflow"])
    with client(platform, "mlflow") as mlflow:
        named = {"experiment_name": platform.name}
        found = mlflow.get("/api/2.0/mlflow/experiments/get-by-name", params=named).json()["experiment"]
    assert link.fragment == f"/experiments/{found['experiment_id']}/runs?workflowType=machine_learning"

    welcome = browser.get(links["MLflow"])
    assert welcome.status_code == 200
    assert '"mlflow.workflowType_v1": "\\"machine_learning\\""' in welcome.text
    page = browser.get(f"{address(platform, 'mlflow')}/")
    assert "<title>MLflow</title>" in page.text
    own = {"Origin": address(platform, "mlflow")}
    search = browser.post(
        f"{address(platform, 'mlflow')}/ajax-api/2.0/mlflow/runs/search",
        json={"experiment_ids": [found["experiment_id"]]},
        headers=own,
    )
    assert len(search.json()["runs"]) >= 1
    assert httpx.get(links["MLflow"]).status_code == 401, "a link is for one browser"


def test_prefects_link_opens_its_runs_logged_in_once(
    platform: Project, links: dict[str, str], browser: httpx.Client
) -> None:
    assert urlsplit(links["Prefect"]).path == "/runs"
    welcome = browser.get(links["Prefect"]).text
    entries = json.loads(re.search(r"const \[entries, page\] = (.*);", welcome)[1])[0]  # type: ignore[index]
    assert base64.b64decode(entries["prefect-password"]).decode() == ":".join(login(platform, "prefect"))
    url = address(platform, "prefect")
    scripts = re.findall(r'(?:src|href)="(/assets/[^"]+\.js)"', browser.get(f"{url}/runs").text)
    assert scripts
    assert any("prefect-password" in text for text in _reachable(browser, url, scripts)), "its pages look for it there"
    assert httpx.get(links["Prefect"]).status_code == 401


def _reachable(browser: httpx.Client, url: str, scripts: list[str]) -> Iterator[str]:
    """The texts of scripts and of those that they name."""
    seen: set[str] = set()
    while scripts:
        script = scripts.pop(0)
        if script not in seen:
            seen.add(script)
            text = browser.get(f"{url}{script}").text
            scripts += [f"/assets/{name}" for name in re.findall(r"[./\"`]+(?:assets/)?([\w.-]+\.js)[\"`]", text)]
            yield text


def test_links_of_the_model_server_lead_to_its_documentation(links: dict[str, str]) -> None:
    assert links["model server"].endswith("/docs")
    assert httpx.get(links["model server"]).status_code == 200


def test_tickets_are_of_one_service(platform: Project, browser: httpx.Client) -> None:
    shown = run_mlp(platform, "status").stdout
    [prefect] = re.findall(r"http\S+/runs\?ticket=\S+", shown)
    [ticket] = parse_qs(urlsplit(prefect).query)["ticket"]
    assert browser.get(f"{address(platform, 'mlflow')}/", params={"ticket": ticket}).status_code == 401


def test_pages_contact_nobody_outside(platform: Project, browser: httpx.Client) -> None:
    with client(platform, "mlflow") as mlflow, client(platform, "prefect") as prefect:
        policies = [
            answer.headers["content-security-policy"]
            for answer in (
                mlflow.get("/"),
                prefect.get("/dashboard"),
                prefect.get("/v2/dashboard"),
                prefect.get("/docs"),
            )
        ]
        assert prefect.get("/ui-settings").json()["default_ui"] == "v1"
        assert mlflow.get("/ajax-api/3.0/mlflow/ui-telemetry").json()["disable_ui_telemetry"] is True
    for policy in policies:
        assert policy.startswith("default-src 'self' ")
        assert set(re.findall(r"(?:http|ws)s?://([^\s:;]+)", policy)) == {"127.0.0.1", "localhost"}
        assert "*" not in policy


@pytest.mark.parametrize("title", ["MLflow", "Prefect", "model server"])
def test_a_real_browser_opens_every_link_and_sends_nothing_outside(
    platform: Project, tmp_path: Path, title: str
) -> None:
    need_browser()
    lines = run_mlp(platform, "up").stdout.splitlines()
    [link] = [line[line.index("http") :] for line in lines if line.startswith(title)]
    seen = visit(link, tmp_path)
    own = {urlsplit(address(platform, name)).netloc for name in ("mlflow", "prefect", "models")}
    assert {urlsplit(url).netloc for url in seen.requests} <= own
    assert len(seen.requests) > 1
    expected = {"MLflow": "logistic", "Prefect": "Runs • Prefect Server", "model server": "/predict"}
    assert expected[title] in seen.shown
    assert not [
        word for word in ("Ask a question", "collects usage data", "Authentication failed") if word in seen.shown
    ]
