"""Grafana believes who somebody is because of the edge's password, never because of a header alone."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from platform_lib.infra.base.naming import IDENTITY_HEADERS
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.monitoring.grafana_guard import USER, guard_arguments, guard_files
from platform_lib.infra.monitoring.values import monitoring_values
from tests.engines import need_engine
from tests.infra import fake_services
from tests.k8slab.lab import free_ports
from tests.security.processes import Processes
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

PASSWORD = "edge-" + "x" * 38
SOMEBODY = {"X-Auth-Request-Email": "admin@localhost", "X-Auth-Request-User": "admin"}


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The real guard, in front of a server that shows what reached it."""
    folder = tmp_path_factory.mktemp("guard")
    grafana, port = free_ports(2)
    for name, text in guard_files(PASSWORD, grafana=f"http://127.0.0.1:{grafana}").items():
        (folder / name).write_text(text, encoding="utf-8")
    with Processes(folder) as processes, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        script = Path(fake_services.__file__)
        processes.start("grafana", [sys.executable, "-S", str(script), "echo", "127.0.0.1", str(grafana), "grafana"])
        processes.start("guard", [str(need_engine("traefik")), *guard_arguments(port=port, folder=str(folder))])

        def is_up() -> bool:
            try:
                return client.get("/api/health").status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(is_up, processes.tails())
        yield client


@pytest.mark.parametrize(
    "login",
    [None, (USER, "wrong"), ("admin", PASSWORD), ("", "")],
    ids=["none", "a wrong password", "another user", "empty"],
)
def test_without_the_password_no_request_reaches_grafana(guard: httpx.Client, login: tuple[str, str] | None) -> None:
    for path in ("/", "/api/admin/users", "/metrics/../api/admin/users", "/api/health/../admin/users", "/metrics/x"):
        answer = guard.get(path, headers=SOMEBODY, auth=login)
        assert answer.status_code == 401, path


def test_with_the_password_identity_reaches_grafana_and_the_password_does_not(guard: httpx.Client) -> None:
    seen = guard.get("/api/user?x=1", headers=SOMEBODY, auth=(USER, PASSWORD)).json()
    assert (seen["path"], seen["headers"]["x-auth-request-email"]) == ("/api/user?x=1", "admin@localhost")
    assert "authorization" not in seen["headers"]


@pytest.mark.parametrize("path", ["/metrics", "/api/health"])
def test_what_is_open_to_prometheus_and_the_kubelet_bears_nobodys_name(guard: httpx.Client, path: str) -> None:
    seen = guard.get(path, headers=SOMEBODY, auth=("admin", "guess")).json()["headers"]
    assert not {name.lower() for name in (*IDENTITY_HEADERS, "Authorization")} & set(seen)


def test_grafana_believes_the_header_only_from_its_own_pod() -> None:
    values = monitoring_values(
        placement=Placement(),
        grafana_url="https://grafana.example.com",
        retention_days=1,
        alert_config_secret="alerts",
        admin_secret="admin",
    )["grafana"]
    assert values["grafana.ini"]["auth.proxy"]["whitelist"] == "127.0.0.1,::1"
    assert values["service"] == {"targetPort": 3002}
    assert PASSWORD not in "".join(guard_files(PASSWORD).values())
