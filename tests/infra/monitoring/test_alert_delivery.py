"""The real Alertmanager loads our routing, and delivers what it should to a real receiver."""

import json
import queue
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from platform_lib.infra.monitoring.alert_routing import CHECK_ALERT, alertmanager_config
from tests.conftest import free_port, server
from tests.engines import need_engine
from tests.infra.certificates import Authority
from tests.waiting import wait_until

pytestmark = pytest.mark.engine
DESTINATIONS = {
    "nowhere": "",
    "slack": "https://hooks.slack.com/services/T0/B0/secret",
    "mail": "smtp://robot:p%2Fw@mail.example.com:587/?from=ml@example.com&to=red@example.com",
    "webhook": "https://alerts.example.com/hook?token=x",
}
CHURN = {"namespace": "team-red", "model": "churn"}
FRAUD = {"namespace": "team-blue", "model": "fraud"}


@pytest.mark.parametrize("destination", DESTINATIONS.values(), ids=DESTINATIONS)
def test_the_configuration_of_every_destination_is_valid(destination: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yaml"
    file.write_text(alertmanager_config(destination, http_proxy="http://proxy:3128", no_proxy=".svc"), encoding="utf-8")
    done = subprocess.run([str(need_engine("amtool")), "check-config", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "ModelDown", "severity": "critical", **CHURN}, "people"),
        ({"alertname": "ModelSlow", "severity": "warning", **CHURN}, "people"),
        ({"alertname": CHECK_ALERT}, "people"),
        ({"alertname": "Watchdog", "severity": "none"}, "nobody"),
        ({"alertname": "InfoInhibitor"}, "nobody"),
    ],
    ids=lambda value: value["alertname"] if isinstance(value, dict) else value,
)
def test_an_alert_is_routed_to_people_unless_it_is_about_alerting_itself(
    labels: dict[str, str], receiver: str, tmp_path: Path
) -> None:
    file = tmp_path / "alertmanager.yaml"
    file.write_text(alertmanager_config(DESTINATIONS["webhook"]), encoding="utf-8")
    pairs = [f"{name}={value}" for name, value in labels.items()]
    command = [str(need_engine("amtool")), "config", "routes", "test", f"--config.file={file}", *pairs]
    done = subprocess.run(command, capture_output=True, text=True)
    # An alert may match several routes; the first one takes it.
    assert done.stdout.split(",")[0].strip() == receiver, done.stdout + done.stderr


@dataclass(frozen=True)
class Alerting:
    """A running Alertmanager, and what its receiver got."""

    api: httpx.Client
    received: "queue.Queue[dict[str, Any]]"
    seen: list[dict[str, Any]] = field(default_factory=list)

    def fire(self, *alerts: dict[str, str], minutes: int = 60) -> None:
        """Report alerts as Prometheus does; a negative time has resolved them."""
        ends = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        body = [{"labels": labels, "annotations": {"summary": "x"}, "endsAt": ends} for labels in alerts]
        self.api.post("/alerts", json=body).raise_for_status()

    def notification(self, status: str, **labels: str) -> dict[str, Any]:
        """The next notification of a group with these labels."""

        def found() -> dict[str, Any] | None:
            while not self.received.empty():
                self.seen.append(self.received.get())
            fits = (one for one in self.seen if one["status"] == status and one["groupLabels"] == labels)
            return next(fits, None)

        return wait_until(found, f"a notification of {labels}")

    def suppressed(self, by: str, **labels: str) -> dict[str, Any]:
        """The alert with these labels, once it is inhibited or silenced."""

        def found() -> dict[str, Any] | None:
            alerts = self.api.get("/alerts").json()
            return next((one for one in alerts if one["labels"].items() >= labels.items() and one["status"][by]), None)

        return wait_until(found, f"{labels} {by}")


@pytest.fixture(scope="module")
def alerting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alerting]:
    """Our configuration with shorter times, and a webhook behind a private authority."""
    folder = tmp_path_factory.mktemp("alerts")
    authority = Authority(folder)
    certificate, key = authority.issue("receiver", ["localhost"])
    (folder / "pair.pem").write_bytes(key + certificate)
    received: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    web.socket = context.wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    config = yaml.safe_load(alertmanager_config(f"https://localhost:{web.server_port}/hook"))
    for route in (config["route"], *config["route"]["routes"]):
        route |= {name: "1s" for name in ("group_wait", "group_interval") if name in route}
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(need_engine("alertmanager")),
        f"--config.file={folder / 'alertmanager.yaml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    trust = {"SSL_CERT_FILE": str(authority.certificate)}
    try:
        with (
            server(command, f"http://{address}/-/ready", folder / "log", env=trust),
            httpx.Client(base_url=f"http://{address}/api/v2") as api,
        ):
            yield Alerting(api=api, received=received)
    finally:
        web.shutdown()
        web.server_close()


def test_a_firing_alert_arrives_and_so_does_its_end(alerting: Alerting) -> None:
    alert = {"alertname": "ModelErrors", "severity": "warning", **CHURN}
    alerting.fire(alert)
    arrived = alerting.notification("firing", alertname="ModelErrors", **CHURN)
    assert [one["annotations"]["summary"] for one in arrived["alerts"]] == ["x"]
    alerting.fire(alert, minutes=-1)
    alerting.notification("resolved", alertname="ModelErrors", **CHURN)


def test_alerts_of_one_model_with_one_name_arrive_together(alerting: Alerting) -> None:
    pods = [{"alertname": "ModelSaturated", "severity": "warning", "pod": f"churn-{n}", **CHURN} for n in (1, 2, 3)]
    alerting.fire(*pods)
    arrived = alerting.notification("firing", alertname="ModelSaturated", **CHURN)
    assert {one["labels"]["pod"] for one in arrived["alerts"]} == {"churn-1", "churn-2", "churn-3"}


def test_a_model_that_is_down_is_reported_once_and_other_models_still_are(alerting: Alerting) -> None:
    down = {"alertname": "ModelDown", "severity": "critical", **CHURN}
    alerting.fire(down)
    alerting.notification("firing", alertname="ModelDown", **CHURN)
    slow = [{"alertname": "ModelSlow", "severity": "warning", **model} for model in (CHURN, FRAUD)]
    alerting.fire(*slow, {"alertname": "Watchdog", "severity": "none"})
    alerting.suppressed("inhibitedBy", alertname="ModelSlow", **CHURN)
    alerting.notification("firing", alertname="ModelSlow", **FRAUD)
    names = [(one["groupLabels"]["alertname"], one["groupLabels"].get("model")) for one in alerting.seen]
    assert ("ModelSlow", "churn") not in names and "Watchdog" not in {name for name, _ in names}


def test_a_silenced_alert_does_not_arrive(alerting: Alerting) -> None:
    now = datetime.now(UTC)
    matchers = [{"name": "namespace", "value": "team-quiet", "isRegex": False, "isEqual": True}]
    silence = {
        "matchers": matchers,
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "ada",
        "comment": "maintenance",
    }
    alerting.api.post("/silences", json=silence).raise_for_status()
    quiet = {"namespace": "team-quiet", "model": "churn"}
    alerting.fire({"alertname": "ModelErrors", "severity": "warning", **quiet})
    alerting.suppressed("silencedBy", alertname="ModelErrors", **quiet)
    alerting.fire({"alertname": CHECK_ALERT, "severity": "info", "namespace": "mlp-monitoring"})
    alerting.notification("firing", alertname=CHECK_ALERT, namespace="mlp-monitoring")
    assert "team-quiet" not in {one["groupLabels"].get("namespace") for one in alerting.seen}
