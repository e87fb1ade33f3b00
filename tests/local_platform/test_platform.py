"""The services of a running platform. The last test stops it and starts it again."""

import json
import os
import re
import signal
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from platform_lib.local_login import password
from platform_lib.local_platform import processes
from platform_lib.local_platform.ports import is_free
from platform_lib.local_platform.state import PlatformState
from platform_lib.registry.client import run_page
from platform_lib.registry.loading import open_registry
from platform_lib.settings import Project, Settings, prefect_api_url, tracking_uri
from tests.conftest import run_mlp
from tests.local_platform.running import SHARES_THE_PLATFORM, address, client
from tests.waiting import wait_until

pytestmark = SHARES_THE_PLATFORM

PENGUIN = {
    "island": "Biscoe",
    "bill_length_mm": 48.2,
    "bill_depth_mm": 14.3,
    "flipper_length_mm": 210,
    "body_mass_g": 4600,
    "sex": None,
    "year": 2009,
}


def served_version(project: Project) -> str | None:
    version = httpx.get(f"{address(project, 'models')}/model").json()["version"]
    return None if version is None else str(version)


def status(project: Project, *, expect: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_mlp(project, "status", "--json", expect=expect).stdout)
    return found


def kill(project: Project, service: str) -> int:
    pid = PlatformState(project.root).load()[service].pid
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    wait_until(lambda: not processes.is_alive(process), "its end")
    return pid


def test_all_services_are_up_and_the_model_trained_without_them_is_served(platform: Project) -> None:
    wait_until(lambda: served_version(platform), "the model")
    report = status(platform)
    assert [service["state"] for service in report["services"]] == ["up"] * 4
    assert (report["served"], report["champion"]) == ("1", "1")


def test_the_text_of_status_shows_the_same(platform: Project) -> None:
    wait_until(lambda: served_version(platform), "the model")
    lines = run_mlp(platform, "status").stdout.splitlines()
    assert lines[0].split() == ["service", "state", "address", "pid", "memory", "since"]
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["mlflow", "up"],
        ["prefect", "up"],
        ["models", "up"],
        ["runner", "up"],
    ]
    assert lines[5:7] == ["Served: sample-model version 1", "Champion: sample-model version 1"]
    assert [line.split("http")[0].strip() for line in lines[8:]] == ["MLflow", "Prefect", "model server"]


def test_the_model_server_predicts(platform: Project) -> None:
    wait_until(lambda: served_version(platform), "the model")
    answer = httpx.post(f"{address(platform, 'models')}/predict", json={"rows": [PENGUIN]})
    assert answer.json()["predictions"] == ["Gentoo"]


def test_commands_use_the_platforms_own_servers(platform: Project) -> None:
    assert tracking_uri(platform, Settings()) == address(platform, "mlflow")
    assert prefect_api_url(platform, Settings()) == f"{address(platform, 'prefect')}/api"


def test_a_model_trained_without_servers_loads_through_mlflow(platform: Project) -> None:
    registry = open_registry(platform, Settings())
    assert registry.uri == address(platform, "mlflow")
    record = registry.resolve("sample-model@champion")
    assert (record.name, record.version) == ("sample-model", "1")


def test_prefects_pages_call_the_server_that_serves_them(platform: Project) -> None:
    url = address(platform, "prefect")
    assert httpx.get(f"{url}/ui-settings").json()["api_url"] == f"{url}/api"


def test_prefect_sends_no_telemetry(platform: Project) -> None:
    with client(platform, "prefect") as prefect:
        assert prefect.get("/api/admin/settings").json()["server"]["analytics_enabled"] is False


def test_every_listener_is_on_loopback(platform: Project) -> None:
    family = [
        member
        for record in PlatformState(platform.root).load().values()
        for member in processes.tree(psutil.Process(record.pid))
    ]
    hosts = {c.laddr.ip for member in family for c in member.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert hosts == {"127.0.0.1"}


def test_a_second_up_says_so_and_prints_the_same_addresses(platform: Project) -> None:
    done = run_mlp(platform, "up")
    assert "The platform is already up" in done.stderr
    shown = [urlsplit(line.split()[-1]) for line in done.stdout.splitlines()]
    assert [f"{link.scheme}://{link.netloc}" for link in shown] == [
        address(platform, name) for name in ("mlflow", "prefect", "models")
    ]


def test_a_killed_service_is_reported_dead_and_only_it_is_restarted(platform: Project) -> None:
    before = PlatformState(platform.root).load()
    kill(platform, "models")
    report = status(platform, expect=1)
    assert [service["state"] for service in report["services"]] == ["up", "up", "dead", "up"]
    assert (
        f"models has stopped; see {before['models'].log}. `mlp up` starts it again."
        in run_mlp(platform, "status", expect=1).stdout
    )
    done = run_mlp(platform, "up", timeout_s=300)
    assert "Restarted because it had stopped: models." in done.stderr
    after = PlatformState(platform.root).load()
    assert {name for name in after if after[name].pid != before[name].pid} == {"models"}
    assert after["models"].url == before["models"].url


def test_a_scheduled_training_registers_a_new_version(platform: Project) -> None:
    registry = open_registry(platform, Settings())
    before = {record.version for record in registry.versions(platform.name)}
    done = run_mlp(platform, "schedule", "0 3 * * *", "--timezone", "UTC", "--now", "--json", "seed=1")
    run_id = json.loads(done.stdout)["flow_run_id"]
    assert ended_as(platform, run_id) == "COMPLETED"
    [new] = {record.version for record in registry.versions(platform.name)} - before
    record = registry.resolve(f"{platform.name}/{new}")
    assert record.tags["mlp.flow_run"] == run_id
    with client(platform, "prefect") as prefect:
        assert prefect.get(f"/api/flow_runs/{run_id}").json()["name"] == "logistic on sample"
        query = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
        [artifact] = prefect.post("/api/artifacts/filter", json=query).json()
    page = run_page(registry.backend, registry.uri, record.run_id)
    assert artifact["data"].startswith(f"# {platform.name} version {new}: ")
    assert f"[The run in MLflow]({page})" in artifact["data"]
    shown = run_mlp(platform, "models", "show", new).stdout.splitlines()[-1]
    assert re.sub(r"\?ticket=[^#]*", "", shown) == f"In MLflow: {page}"


def ended_as(project: Project, run_id: str) -> str:
    """How a flow run ended, once it has ended."""
    with client(project, "prefect") as prefect:

        def final_state() -> str | None:
            state = prefect.get(f"/api/flow_runs/{run_id}").json()["state_type"]
            return None if state in ("SCHEDULED", "PENDING", "RUNNING") else str(state)

        return wait_until(final_state, "the end of the training", timeout_s=240)


def test_down_leaves_nothing_running_and_keeps_the_data(platform: Project) -> None:
    """The last test of this file: it stops the platform, checks what is left, and starts it again."""
    records = PlatformState(platform.root).load()
    run_mlp(platform, "schedule", "0 4 * * *", "--timezone", "UTC")
    family = [member for record in records.values() for member in processes.tree(psutil.Process(record.pid))]
    through_server = {record.version for record in open_registry(platform, Settings()).versions(platform.name)}
    runs_before = flow_runs(platform)

    done = run_mlp(platform, "down")
    assert done.stdout == "Stopped: mlflow, prefect, models, runner.\n"
    assert [member for member in family if processes.is_alive(member)] == []
    assert all(is_free(record.port) for record in records.values())
    assert run_mlp(platform, "down").stdout == "Nothing was running.\n"
    assert status(platform, expect=1)["services"][0]["state"] == "not started"

    local = open_registry(platform, Settings())
    assert local.uri.startswith("sqlite:")
    assert {record.version for record in local.versions(platform.name)} == through_server

    before = password(platform)
    run_mlp(platform, "up", "--auto-ports", timeout_s=400)
    assert password(platform) != before, "what a browser kept is worth nothing at an address that others could take"
    assert json.loads(run_mlp(platform, "schedule", "--json").stdout)["cron"] == "0 4 * * *"
    assert runs_before <= flow_runs(platform)


def flow_runs(project: Project) -> set[str]:
    """The flow runs except those that a schedule has only planned."""
    completed = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    with client(project, "prefect") as prefect:
        return {run["id"] for run in prefect.post("/api/flow_runs/filter", json=completed).json()}
