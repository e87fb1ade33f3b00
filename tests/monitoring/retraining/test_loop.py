"""From drifting traffic to one retraining, with a real Prometheus, Alertmanager, Prefect server and receiver."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml

from platform_lib.infra.model.alerts import AlertThresholds
from platform_lib.infra.model.drift_rules import PSI, drift_rules
from platform_lib.settings import Project
from tests.conftest import copy_of, free_port, server
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.xdist_group("servers")]

NAMESPACE = "team-red"
WINDOW_S = 8
LIMITS = AlertThresholds(drift_window_h=1, drift_rows=50)


@dataclass(frozen=True)
class Loop:
    """The running servers, by address."""

    project: Project
    model: str
    prometheus: str
    alertmanager: str
    receiver: str
    prefect: str
    token: str

    def predict(self, *, shift: float) -> None:
        """Send the project's sample, with the body mass shifted."""
        rows = pd.read_csv(self.project.root / "data" / "sample.csv").drop(columns="species")
        rows["body_mass_g"] += shift
        body = {"rows": [{k: None if v != v else v for k, v in row.items()} for row in rows.to_dict("records")]}
        httpx.post(f"{self.model}/predict", json=body, timeout=60).raise_for_status()

    def series(self, query: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": query}, timeout=30).json()
        return list(answer["data"]["result"])

    def counted(self, outcome: str) -> float:
        """How many alerts or calls had this outcome in the receiver."""
        lines = httpx.get(f"{self.receiver}/metrics", timeout=30).text.splitlines()
        label = f'mlp_retrain_alerts_total{{outcome="{outcome}"}}'
        return next((float(line.split()[-1]) for line in lines if line.startswith(label)), 0.0)

    def runs(self) -> list[dict[str, Any]]:
        """The flow runs of the project's deployment."""
        query = {"deployments": {"name": {"any_": ["train"]}}, "flows": {"name": {"any_": [self.project.name]}}}
        return list(httpx.post(f"{self.prefect}/flow_runs/filter", json=query, timeout=30).json())

    def call(self, body: object, token: str) -> httpx.Response:
        """Call the receiver as Alertmanager does."""
        return httpx.post(
            f"{self.receiver}/alerts", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )


def in_seconds(rules: list[dict[str, Any]]) -> str:
    """The platform's rules with windows of seconds instead of hours."""
    [group] = rules
    text = yaml.safe_dump({"groups": [group | {"interval": "1s"}]}, width=10_000)
    for hours in (1, 2):
        text = text.replace(f"offset {hours}h", f"offset {hours * WINDOW_S}s")
    return text.replace("[1h]", f"[{WINDOW_S}s]").replace("for: 15m", "for: 0s")


def created(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Create an object of Prefect, whose server answers 503 while its database is busy."""

    def answer() -> httpx.Response | None:
        given = httpx.post(url, json=body, timeout=30)
        return None if given.status_code == 503 else given.raise_for_status()

    found: dict[str, Any] = wait_until(answer, "an answer of Prefect").json()
    return found


@pytest.fixture
def loop(
    trained: Project,
    generate: Callable[..., Project],
    tmp_path: Path,
    prefect_server: str,
    engine: Callable[[str], str],
) -> Iterator[Loop]:
    project = copy_of(trained, tmp_path / "project")
    flow = created(f"{prefect_server}/flows/", {"name": project.name})
    deployment = {"name": "train", "flow_id": flow["id"], "parameters": {"project": str(project.root)}}
    created(f"{prefect_server}/deployments/", deployment)
    model, metrics, prometheus, alertmanager, cluster, receiver = (free_port() for _ in range(6))
    (tmp_path / "rules.yml").write_text(in_seconds(drift_rules(project.name, NAMESPACE, thresholds=LIMITS)))
    labels = {"namespace": NAMESPACE, "service": project.name}
    target = {"targets": [f"127.0.0.1:{metrics}"], "labels": labels}
    scraped = {
        "global": {"scrape_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "model", "honor_labels": True, "static_configs": [target]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(scraped))
    hook = {
        "url": f"http://127.0.0.1:{receiver}/alerts",
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": str(project.state_dir / "receiver-token")}
        },
    }
    timing = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    routed = {
        "route": {"receiver": "retrain", "group_by": ["alertname", "model"], **timing},
        "receivers": [{"name": "retrain", "webhook_configs": [hook]}],
    }
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(routed))
    mlp = [sys.executable, "-m", "platform_lib.cli"]
    (tmp_path / "in_project.py").write_text(
        f"import os, sys\nos.chdir({str(project.root)!r})\nos.execv(sys.executable, [*{mlp!r}, *sys.argv[1:]])\n"
    )
    here = [sys.executable, str(tmp_path / "in_project.py")]
    commands = {
        receiver: ([*here, "monitor", "receive", "--port", str(receiver)], "/healthz"),
        model: ([*here, "serve", "--port", str(model), "--metrics-port", str(metrics)], "/readyz"),
        alertmanager: (
            [
                engine("alertmanager"),
                f"--config.file={tmp_path}/alertmanager.yml",
                f"--storage.path={tmp_path}/alertmanager",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                f"--cluster.listen-address=127.0.0.1:{cluster}",
            ],
            "/-/ready",
        ),
        prometheus: (
            [
                engine("prometheus"),
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/prometheus",
                f"--web.listen-address=127.0.0.1:{prometheus}",
            ],
            "/-/ready",
        ),
    }
    with ExitStack() as stack:
        for port, (command, health) in commands.items():
            stack.enter_context(
                server(
                    command,
                    f"http://127.0.0.1:{port}{health}",
                    tmp_path / f"{port}.log",
                    env={"PREFECT_API_URL": prefect_server},
                )
            )
        yield Loop(
            project=project,
            model=f"http://127.0.0.1:{model}",
            prometheus=f"http://127.0.0.1:{prometheus}",
            alertmanager=f"http://127.0.0.1:{alertmanager}",
            receiver=f"http://127.0.0.1:{receiver}",
            prefect=prefect_server,
            token=(project.state_dir / "receiver-token").read_text().strip(),
        )


def test_drift_starts_one_retraining_and_nothing_else_does(loop: Loop) -> None:
    drift = f'{PSI}{{feature="body_mass_g"}}'

    def after(shift: float, query: str) -> list[dict[str, Any]]:
        loop.predict(shift=shift)
        return loop.series(query)

    # Traffic like the training rows: it is judged, and nothing fires.
    wait_until(lambda: after(0, f"({drift} < 0.25) and on () (version:mlp_rows:increase > 50)"), "a judged window")
    assert loop.series("ALERTS") == []
    # It shifts: the alert comes, and with it one run.
    wait_until(lambda: after(2000, 'ALERTS{alertname="ModelDrift",feature="body_mass_g"}'), "the alert")
    wait_until(lambda: after(2000, "vector(1)") and loop.runs(), "the run")
    # Not before the windows are over: one window lies between the first index over the limit and the alert.
    [index], [alert] = loop.series(f"{drift}[5m]"), loop.series('ALERTS{feature="body_mass_g"}[5m]')
    over = next(float(time) for time, value in index["values"] if float(value) > LIMITS.psi)
    assert float(alert["values"][0][0]) - over >= WINDOW_S - 0.05
    [run] = loop.runs()
    assert f" of {loop.project.name} has drifted" in run["parameters"]["tags"]["mlp.retrain_reason"]
    assert (run["parameters"]["promote"], run["parameters"]["promote_shared"]) == (False, False)

    # The alert is repeated, and a second one comes: both are within the cooldown.
    wait_until(lambda: after(2000, "vector(1)") and loop.counted("known"), "a repeated call")
    before = loop.counted("cooldown")
    labels = {"alertname": "ModelDrift", "model": loop.project.name, "feature": "year"}
    # In whole seconds, because Alertmanager's API shortens times, and its calls do not.
    second = {"labels": labels, "startsAt": datetime.now(UTC).isoformat(timespec="seconds")}
    httpx.post(f"{loop.alertmanager}/api/v2/alerts", json=[second], timeout=30).raise_for_status()
    wait_until(lambda: loop.counted("cooldown") > before, "the second alert")
    # A forged call has no token, and a replayed one is known.
    known = httpx.get(f"{loop.alertmanager}/api/v2/alerts", timeout=30).json()
    replayed = {"version": "4", "alerts": [{**each, "status": "firing"} for each in known]}
    assert loop.call(replayed, "forged").status_code == 401
    assert loop.call(replayed, loop.token).json() == {"known": len(known)}

    assert [each["id"] for each in loop.runs()] == [run["id"]]
    assert loop.counted("queued") == 1
