"""A real `mlp serve` under load: smoke test, Prometheus scrape, dashboard queries."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pulumi_kubernetes as k8s
import pytest
import yaml
from mlflow import MlflowClient

from platform_lib.errors import CheckFailed
from platform_lib.infra.model.alerts import AlertThresholds, model_rules
from platform_lib.infra.model.drift_rules import drift_rules, psi_expression
from platform_lib.infra.model.endpoint import ModelEndpoint
from platform_lib.infra.model.endpoint_args import ModelEndpointArgs
from platform_lib.infra.model.pod import server_command
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.report import build_report
from platform_lib.monitoring.version import monitored_version
from platform_lib.monitoring.windows import divide
from platform_lib.names import Alias
from platform_lib.operations.smoke import smoke_test
from platform_lib.registry.loading import open_registry
from platform_lib.registry.roles import start_canary
from platform_lib.serving.auth.api_keys import new_key
from platform_lib.serving.request_log.files import LogFolder
from platform_lib.settings import Project, Settings
from platform_lib.training.run import train
from tests.conftest import copy_of, free_port, server
from tests.infra.harness.graph import run_program
from tests.infra.shared import SHARED
from tests.infra.stacks import run_stack
from tests.operations.exporters import EXPOSED, exporter, exposition
from tests.operations.promql import ask, parse
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.engine]

NAMESPACE = "team-red"
ROW = {
    "island": "Biscoe",
    "bill_length_mm": 48.2,
    "bill_depth_mm": 14.3,
    "flipper_length_mm": 210,
    "body_mass_g": 4600,
    "sex": None,
    "year": 2009,
}


@dataclass(frozen=True)
class Served:
    """A running model server."""

    name: str
    url: str
    metrics_port: int
    key: str
    log: Path


@pytest.fixture(scope="module")
def served(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run the command of the endpoint's own Deployment with this machine's host, ports and registry.

    Half of the requests go to a canary.
    """
    folder = tmp_path_factory.mktemp("served")
    project = copy_of(trained, folder / "project")
    train(project, Settings(), ["model.params.C=0.5", "gate.delta=1.0"], promote=False)
    registry = open_registry(project, Settings())
    start_canary(registry, registry.resolve(f"{project.name}/2"), 50)
    keys = folder / "keys.yaml"
    key = new_key(keys, "smoke", ["predict"])
    port, metrics_port = free_port(), free_port()
    args = ModelEndpointArgs(
        model=trained.name, namespace=NAMESPACE, image=f"x@sha256:{'a' * 64}", shared=SHARED, keys=keys.read_text()
    )
    command = server_command(args.reference, args.workers)
    here = {"0.0.0.0": "127.0.0.1", "8000": str(port), "9000": str(metrics_port)}
    assert command[0] == "mlp"
    command = [sys.executable, "-m", "platform_lib.cli", *(here.get(word, word) for word in command[1:])]
    # In the pod, the image's folder contains the project; here it is the trained project's folder.
    script = folder / "serve.py"
    script.write_text(
        f"import os, sys\nos.chdir({str(project.root)!r})\nos.execv(sys.executable, {command!r})\n", encoding="utf-8"
    )
    environment = {"MLP_KEYS": str(keys), "MLP_LOG": str(folder / "log")}
    with server([sys.executable, str(script)], f"http://127.0.0.1:{port}/readyz", folder / "log.txt", env=environment):
        yield Served(trained.name, f"http://127.0.0.1:{port}", metrics_port, key, folder / "log")


def test_the_smoke_test_passes_on_a_good_server(served: Served) -> None:
    said: list[str] = []
    smoke_test(served.url, key=served.key, say=said.append)
    assert said == [
        "The server is ready.",
        "Requests without a key are refused.",
        "The server predicts its example.",
    ]


def test_without_a_key_the_smoke_test_skips_the_prediction_and_says_so(served: Served) -> None:
    said: list[str] = []
    smoke_test(served.url, say=said.append)
    assert said[-1] == "Skipped the prediction: MLP_API_KEY is not set."


def test_a_wrong_key_is_reported(served: Served) -> None:
    with pytest.raises(
        CheckFailed, match=r"/model returned 401 the key is unknown.*set MLP_API_KEY to a key from deploy/keys.yaml"
    ):
        smoke_test(served.url, key="mlp_wrong", say=lambda _: None)


def test_an_absent_server_fails_within_the_timeout() -> None:
    with pytest.raises(CheckFailed, match=r"readyz did not return 200 within 0.1 s; last response: ConnectError"):
        smoke_test(f"http://127.0.0.1:{free_port()}", ready_within_s=0.1, say=lambda _: None)


def test_a_first_deployment_needs_no_version_and_serves_the_first_promotion(trained: Project, tmp_path: Path) -> None:
    project = copy_of(trained, tmp_path / "project")
    client = MlflowClient(f"sqlite:///{project.database.as_posix()}")
    client.delete_registered_model_alias(project.name, Alias.CHAMPION)
    keys, port = tmp_path / "keys.yaml", free_port()
    key = new_key(keys, "smoke", ["predict"])
    words = ["serve", f"models:/{project.name}@champion", "--port", str(port), "--metrics-port", str(free_port())]
    script = tmp_path / "serve.py"
    command = [sys.executable, "-m", "platform_lib.cli", *words]
    script.write_text(f"import os, sys\nos.chdir({str(project.root)!r})\nos.execv(sys.executable, {command!r})\n")
    url = f"http://127.0.0.1:{port}"
    environment = {"MLP_KEYS": str(keys), "MLP_LOG": ""}
    with server([sys.executable, str(script)], f"{url}/readyz/pod", tmp_path / "log.txt", env=environment):
        said: list[str] = []
        smoke_test(url, key=key, say=said.append)
        assert said[0].startswith("The server runs. Nothing is served yet:") and "`mlp promote`" in said[-1]
        assert httpx.get(f"{url}/readyz").status_code == 503

        # A champion whose alias was lost is no first deployment: its pods must not replace those that still serve it.
        client.set_registered_model_alias(project.name, Alias.PREVIOUS, "1")
        wait_until(lambda: httpx.get(f"{url}/readyz/pod").status_code == 503)
        client.delete_registered_model_alias(project.name, Alias.PREVIOUS)

        client.set_registered_model_alias(project.name, Alias.CHAMPION, "1")
        wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        said.clear()
        smoke_test(url, key=key, say=said.append)
        assert said[-1] == "The server predicts its example."


@pytest.fixture(scope="module")
def edge_ports(
    served: Served, engine: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, int]]:
    """(for requests, for metrics): ports of a real Traefik in front of the model server."""
    folder = tmp_path_factory.mktemp("traefik")
    routes: dict[str, Any] = {"routers": {"model": {"rule": "PathPrefix(`/`)", "service": "model"}}}
    routes["services"] = {"model": {"loadBalancer": {"servers": [{"url": served.url}]}}}
    (folder / "routes.yaml").write_text(yaml.safe_dump({"http": routes}), encoding="utf-8")
    port, metrics_port = free_port(), free_port()
    command = [
        engine("traefik"),
        f"--entryPoints.websecure.address=127.0.0.1:{port}",
        f"--entryPoints.metrics.address=127.0.0.1:{metrics_port}",
    ]
    command += ["--metrics.prometheus.entryPoint=metrics", f"--providers.file.filename={folder}/routes.yaml"]
    command += ["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"]
    with server(command, f"http://127.0.0.1:{port}/healthz", folder / "log.txt"):
        yield port, metrics_port


@pytest.fixture(scope="module")
def prometheus(
    served: Served, edge_ports: tuple[int, int], engine: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A Prometheus that scrapes the model server, the edge and the cluster's exporters.

    The model server gets the labels that the ServiceMonitor's target gets.
    """
    folder = tmp_path_factory.mktemp("prometheus")

    def job(name: str, port: int, **labels: str) -> dict[str, Any]:
        return {
            "job_name": name,
            "honor_labels": True,
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}],
        }

    with exporter(exposition({NAMESPACE: served.name, "mlp-mlflow": "mlflow"})) as cluster_port:
        jobs = [
            job(served.name, served.metrics_port, namespace=NAMESPACE, service=served.name, pod=f"{served.name}-1"),
            job("traefik", edge_ports[1], namespace="mlp-ingress", pod="traefik-1"),
            job("kube-state-metrics", cluster_port),
        ]
        always = {"name": "always", "interval": "1s", "rules": [{"alert": "Always", "expr": "vector(1)"}]}
        [drift] = drift_rules(served.name, NAMESPACE, thresholds=AlertThresholds())
        rules = {"groups": [always, {**drift, "interval": "1s"}]}
        (folder / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
        config = {"global": {"scrape_interval": "1s"}, "rule_files": ["rules.yml"], "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        port = free_port()
        command = [engine("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        with server(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], f"http://127.0.0.1:{port}/-/ready", folder / "log.txt"
        ):
            yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def asked(served: Served, edge_ports: tuple[int, int], prometheus: str) -> str:
    """The Prometheus after it has seen requests; a rate needs two scrapes."""
    counted = (f'mlp_requests_total{{service="{served.name}"}}', "traefik_entrypoint_request_duration_seconds_bucket")
    waited_for = [
        *(f"rate({series}[5m]) > 0" for series in counted),
        "rate(container_cpu_usage_seconds_total[5m])",
        "ALERTS",
    ]
    waited_for.append("sum(rate(mlp_compared_rows_total[5m])) > 0")

    def seen() -> bool:
        for url in (served.url, f"http://127.0.0.1:{edge_ports[0]}"):
            for rows in ([ROW] * 3, []):
                httpx.post(
                    f"{url}/predict",
                    json={"rows": rows},
                    headers={"Authorization": f"Bearer {served.key}"},
                    trust_env=False,
                )
        return all(ask(prometheus, expression) for expression in waited_for)

    wait_until(seen, "a request in Prometheus")
    return prometheus


@pytest.fixture(scope="module")
def expressions(served: Served) -> dict[str, str]:
    """Where → PromQL: every panel, alert and autoscaler query.

    Taken from the graphs of the shared stack and of a model's endpoint.
    """

    def endpoint() -> None:
        kind: dict[str, Any] = {
            "model": served.name,
            "namespace": NAMESPACE,
            "image": f"x@sha256:{'a' * 64}",
            "shared": SHARED,
            "keys": "keys: []\n",
        }
        for name, rate in (("cpu", None), ("rate", 50.0)):
            opts = pulumi.ResourceOptions(provider=k8s.Provider(name, cluster_identifier="test"))
            ModelEndpoint(name, ModelEndpointArgs(**kind, requests_per_s_per_replica=rate), opts=opts)

    found: dict[str, str] = {}
    for graph in (run_stack("team"), run_program(endpoint)):
        files = [file for r in graph.kubernetes("ConfigMap") for file in (r.inputs.get("data") or {}).items()]
        for board in (json.loads(text) for name, text in files if name.endswith(".json")):
            for panel in board.get("panels", []):
                found |= {
                    f"panel {panel['title']} {target['refId']}, {board['title']}": target["expr"]
                    for target in panel["targets"]
                }
        for r in graph.kubernetes("PrometheusRule"):
            for rule in (rule for group in r.inputs["spec"]["groups"] for rule in group["rules"]):
                found[f"{r.name}: {rule.get('alert') or rule['record']}"] = rule["expr"]
        for r in graph.kubernetes("ScaledObject"):
            found |= {
                f"{r.name}: trigger": t["metadata"]["query"]
                for t in r.inputs["spec"]["triggers"]
                if "query" in t["metadata"]
            }
    return found


def test_every_query_uses_metrics_and_labels_that_an_exporter_exposes(expressions: dict[str, str], asked: str) -> None:
    """A misspelt metric or label never matches, and an alert that never matches looks like good news."""
    assert len(expressions) >= 40 and [where for where in expressions if "trigger" in where]

    def wrong() -> list[str]:
        found = []
        for where, expression in expressions.items():
            parsed = parse(asked, expression)
            there: set[str] = set()
            for selector in parsed.selectors:
                known = {label for one in ask(asked, selector.metric) for label in one["metric"]}
                there |= known
                strange = [label for label, _, _ in selector.matchers if label not in known]
                if strange or not ask(asked, selector.text(without="code")):  # a healthy server returns no 500
                    found.append(f"{where}: {selector.text()} finds nothing; nobody has {strange or selector.metric}")
            found += [
                f"{where}: groups or joins by {label}, which nobody has" for label in sorted(parsed.labels - there)
            ]
        return found

    assert settled(wrong, []) == []


def test_every_panel_of_the_platform_and_of_the_model_gets_data(expressions: dict[str, str], asked: str) -> None:
    panels = {where: expression for where, expression in expressions.items() if where.startswith("panel ")}
    assert len({where.rpartition(", ")[2] for where in panels}) == 2

    def empty() -> list[str]:
        return [where for where, expression in panels.items() if not ask(asked, expression)]

    none = ["panel Errors per second by model A, Platform"]  # there are none
    assert settled(empty, none) == none


def settled(look: Callable[[], list[str]], wanted: list[str]) -> list[str]:
    """Poll until the result is the wanted one or the time is over.

    The server updates some numbers between two scrapes.
    """
    with suppress(AssertionError):
        wait_until(lambda: look() == wanted, timeout_s=30)
    return look()


def test_the_list_of_absent_exporters_has_no_unused_metric(expressions: dict[str, str], asked: str) -> None:
    used = {selector.metric for expression in expressions.values() for selector in parse(asked, expression).selectors}
    assert set(EXPOSED) - used == set()


def test_no_alert_fires_on_a_healthy_server_and_each_can_be_evaluated(served: Served, asked: str) -> None:
    [group] = model_rules(served.name, NAMESPACE, thresholds=AlertThresholds())
    assert [rule["alert"] for rule in group["rules"] if ask(asked, rule["expr"])] == []


def test_the_rule_and_the_report_find_the_same_drift_in_the_same_traffic(
    served: Served, asked: str, trained: Project
) -> None:
    """The rule's expression on the counters of a real Prometheus, and the report on the log of the same server."""
    scope = f'{{namespace="{NAMESPACE}",service="{served.name}",version="1"}}'
    expression = psi_expression(
        f"sum by (version, feature, bin) (mlp_feature_bin_total{scope})",
        f"max by (version, feature, bin) (mlp_feature_reference_share{scope})",
    )
    monitored = monitored_version(trained, Settings(), f"{trained.name}/1", None)
    windows = divide(timedelta(hours=1), timedelta(hours=1), datetime.now(UTC) + timedelta(minutes=10))

    def differing() -> dict[str, tuple[float, float]]:
        rule = {one["metric"]["feature"]: float(one["value"][1]) for one in ask(asked, expression)}
        report = build_report(LogFolder.at(str(served.log)), monitored, MonitorConfig(), windows)
        own = {column.name: column.psi for column in report.columns}
        assert len(own) == len(rule) >= 8
        return {name: (own[name], rule[name]) for name in own if abs(own[name] - rule[name]) > 1e-6}

    # Counters are ahead of the log by up to ten seconds, and of Prometheus by up to one.
    wait_until(lambda: differing() == {}, timeout_s=60)
