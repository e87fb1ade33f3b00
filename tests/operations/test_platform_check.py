"""`mlp platform check` against a real API server, a real Prometheus and good and bad edges."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_lib.findings import Finding
from platform_lib.infra.base.outputs import outputs_data
from platform_lib.infra.monitoring.alert_routing import alertmanager_config
from platform_lib.infra.monitoring.platform_alerts import platform_rules
from platform_lib.names import SharedOutputs
from platform_lib.operations.platform_check.alerts import look_at_alertmanager, look_at_prometheus
from platform_lib.operations.platform_check.edge import look_from_outside
from tests.conftest import Called, free_port, server
from tests.infra.certificates import Authority
from tests.infra.monitoring.alert_rules import NAMESPACES
from tests.infra.shared import SHARED
from tests.k8slab.lab import Lab
from tests.operations.conftest import namespace
from tests.operations.projects import Project
from tests.operations.servers import Answer, answering

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

HSTS = {"Strict-Transport-Security": "max-age=31536000"}
SLACK = "https://hooks.slack.com/services/T0/B0/x"


def ui(_method: str, path: str, _headers: Mapping[str, str]) -> Answer:
    """A UI behind the login; /metrics has no route."""
    return (404, HSTS, b"") if path == "/metrics" else (302, {**HSTS, "Location": "https://auth.ml.example.com/"}, b"")


def half_open(method: str, path: str, headers: Mapping[str, str]) -> Answer:
    """The page asks for a login, but the API behind it does not."""
    return (200, HSTS, b"{}") if path.startswith("/api/2.0") else ui(method, path, headers)


def closed(_method: str, _path: str, _headers: Mapping[str, str]) -> Answer:
    return 404, {}, b""


def everything(_method: str, _path: str, _headers: Mapping[str, str]) -> Answer:
    return 200, {}, b"here you are"


def to_https(_method: str, path: str, headers: Mapping[str, str]) -> Answer:
    return 301, {"Location": f"https://localhost{path}"}, b""


Answers = Callable[[str, str, Mapping[str, str]], Answer]


@pytest.fixture(autouse=True)
def _short_lived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept short-lived certificates: the tests' authority issues them for one day."""
    monkeypatch.setattr("platform_lib.operations.platform_check.edge._DAYS_LEFT", 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    authority.issue("edge", ["localhost"])
    return authority.folder / "edge.crt", authority.folder / "edge.key"


@contextmanager
def edge(
    certificate: tuple[Path, Path], *, uis: Answers = ui, models: Answers = closed, plain: Answers = to_https
) -> Iterator[tuple[SharedOutputs, int]]:
    """The platform's hosts on ports of this machine, and the plain HTTP port."""
    with ExitStack() as stack:
        secure = [stack.enter_context(answering(answer, certificate=certificate)) for answer in (uis, models)]
        port = stack.enter_context(answering(plain))
        url = f"https://localhost:{secure[0]}"
        yield (
            replace(
                SHARED, mlflow_ui_url=url, prefect_ui_url=url, grafana_url=url, models_host=f"localhost:{secure[1]}"
            ),
            port,
        )


def wrong(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.level == "problem"]


def test_a_healthy_edge_has_no_findings(certificate: tuple[Path, Path], authority: Authority) -> None:
    with edge(certificate) as (outputs, port):
        findings = list(look_from_outside(outputs, authority=authority.certificate, http_port=port))
    assert wrong(findings) == []
    assert {finding.level for finding in findings} == {"ok"}
    assert any("requires a login on all 7 paths" in finding.text for finding in findings)
    assert any(
        "localhost has a trusted certificate" in finding.text and "TLSv1.3" in finding.text for finding in findings
    )


def test_a_certificate_that_expires_soon_is_reported(
    certificate: tuple[Path, Path], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform_lib.operations.platform_check.edge._DAYS_LEFT", 14)
    with edge(certificate) as (outputs, port):
        found = wrong(list(look_from_outside(outputs, authority=authority.certificate, http_port=port)))
    assert [text.split(":")[0] for text in found] == ["MLflow", "Prefect", "Grafana", "models"]


def test_a_certificate_from_an_unknown_authority_is_reported(certificate: tuple[Path, Path]) -> None:
    with edge(certificate) as (outputs, port):
        found = wrong(list(look_from_outside(outputs, http_port=port)))
    assert found[0] == "MLflow: the certificate of localhost is not trusted: unable to get local issuer certificate."


def test_an_api_that_is_open_behind_a_protected_page_is_reported(
    certificate: tuple[Path, Path], authority: Authority
) -> None:
    with edge(certificate, uis=half_open) as (outputs, port):
        found = wrong(list(look_from_outside(outputs, authority=authority.certificate, http_port=port)))
    assert found[0] == "MLflow opens without a login: /api/2.0/mlflow/experiments/search?max_results=1 → 200."


def test_a_teams_prefect_without_a_login_is_reported(certificate: tuple[Path, Path], authority: Authority) -> None:
    with edge(certificate) as (outputs, port), edge(certificate, uis=half_open) as (red, _):
        findings = look_from_outside(
            outputs, team_prefects={"red": red.prefect_ui_url}, authority=authority.certificate, http_port=port
        )
        assert [text.partition(":")[0] for text in wrong(list(findings))] == ["Prefect of red opens without a login"]


def test_a_models_host_that_answers_every_path_is_reported(
    certificate: tuple[Path, Path], authority: Authority
) -> None:
    with edge(certificate, models=everything) as (outputs, port):
        found = wrong(list(look_from_outside(outputs, authority=authority.certificate, http_port=port)))
    assert found == [
        "models: /, /metrics, /models, /models/no-such-model/predict, /models/no-such-model/metrics can be opened without a key."
    ]


def test_plain_http_that_serves_content_is_reported(certificate: tuple[Path, Path], authority: Authority) -> None:
    with edge(certificate, plain=everything) as (outputs, port):
        found = wrong(list(look_from_outside(outputs, authority=authority.certificate, http_port=port)))
    assert found[0] == "MLflow: plain HTTP on localhost returns 200, expected a redirect to HTTPS."


def test_a_host_without_a_dns_address_is_reported(certificate: tuple[Path, Path], authority: Authority) -> None:
    with edge(certificate) as (outputs, port):
        lost = replace(outputs, grafana_url="https://grafana.invalid")
        found = wrong(list(look_from_outside(lost, authority=authority.certificate, http_port=port)))
    assert "Grafana: grafana.invalid does not resolve." in found


class Alertmanager:
    """The parts of Alertmanager's API that the check calls; the program is not in our registries."""

    def __init__(self, destination: str, *, delivers: bool = True) -> None:
        self.config, self.delivers, self.sent, self.failed = alertmanager_config(destination), delivers, 3, 0
        self.alerts: list[dict[str, Any]] = []

    def __call__(self, method: str, path: str, _headers: Mapping[str, str]) -> Answer:
        if path == "/api/v2/status":
            return 200, {}, json.dumps({"config": {"original": self.config}}).encode()
        if path == "/api/v2/alerts" and method == "POST":
            self.sent += 1
            self.failed += not self.delivers
            return 200, {}, b""
        if path == "/metrics":
            return (
                200,
                {},
                (
                    "# HELP alertmanager_notifications_total "
                    f'x\nalertmanager_notifications_total{{integration="slack"}} {self.sent}\n'
                    f'alertmanager_notifications_failed_total{{integration="slack",reason="other"}} {self.failed}\n'
                ).encode(),
            )
        return 404, {}, b""


@pytest.mark.parametrize(
    ("alertmanager", "send", "expected"),
    [
        (
            Alertmanager(SLACK),
            False,
            ("ok", "alerts are sent by slack; none of 3 messages failed. --send-alert tests it."),
        ),
        (Alertmanager(SLACK), True, ("ok", "a test alert was sent by slack: check that it arrived.")),
        (Alertmanager(SLACK, delivers=False), True, ("problem", "a test alert by slack could not be sent.")),
        (Alertmanager(""), False, ("problem", "alerts have no receiver.")),
    ],
    ids=["quiet", "sent", "not-delivered", "nobody"],
)
def test_missing_alerts_are_reported(*, alertmanager: Alertmanager, send: bool, expected: tuple[str, str]) -> None:
    with answering(alertmanager) as port:
        found = list(look_at_alertmanager(f"http://127.0.0.1:{port}", send=send))
    assert [(finding.level, finding.text) for finding in found] == [expected]


@pytest.fixture(scope="module")
def prometheus(engine: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus with the platform's rules; it scrapes itself and a target that is down."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{number}"]}]}
        for name, number in (("itself", port), ("gone", free_port()))
    ]
    rules = {"groups": [{**platform_rules(NAMESPACES)[0], "interval": "1s"}]}
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs, "rule_files": ["rules.yaml"]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [engine("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with server(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], f"http://127.0.0.1:{port}/-/ready", folder / "log.txt"
    ):
        yield f"http://127.0.0.1:{port}"


def test_a_target_that_cannot_be_scraped_is_reported(prometheus: str) -> None:
    deadline = time.monotonic() + 30
    while not (found := wrong(list(look_at_prometheus(prometheus)))):
        assert time.monotonic() < deadline
    assert found[0].startswith("Prometheus cannot scrape gone (")
    assert [text for text in found if "rules" in text] == []


@pytest.fixture
def platform(team: Lab) -> Iterator[Lab]:
    """Namespaces, services and policies as the shared stack creates them; pods are fake and ready."""
    part = {"app.kubernetes.io/part-of": "cloud-ml-platform"}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}}
    rule = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "mlp-check-test", "labels": part},
        "spec": {
            "failurePolicy": "Ignore",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["traefik.io"],
                        "apiVersions": ["*"],
                        "operations": ["CREATE"],
                        "resources": ["ingressroutes"],
                    }
                ]
            },
            "validations": [{"expression": "true"}],
        },
    }
    bound = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "mlp-check-test", "labels": part},
        "spec": {"policyName": "mlp-check-test", "validationActions": ["Deny"]},
    }
    objects: list[Any] = [
        namespace("mlp-mlflow"),
        namespace("team-red", **{"pod-security.kubernetes.io/enforce": "restricted"}),
        *(
            {**policy, "metadata": {"name": "closed", "namespace": name}}
            for name in ("mlp-mlflow", "mlp-ingress", "team-red")
        ),
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "team", "namespace": "team-red"},
            "spec": {"hard": {"pods": "10"}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "team", "namespace": "team-red"},
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]},
        },
        deployment("mlflow", "mlp-mlflow"),
        rule,
        bound,
    ]
    team.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    team.kubectl("-n", "mlp-mlflow", "rollout", "status", "deployment/mlflow", "--timeout=60s")
    yield team
    team.kubectl("delete", "namespace", "mlp-mlflow", "--wait=true")
    team.kubectl(
        "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "mlp-check-test", "--ignore-not-found"
    )


def deployment(name: str, where: str, **annotations: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name}
    pod = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": name, "image": "stub.invalid/x:1"}]},
    }
    spec = {"selector": {"matchLabels": labels}, "replicas": 1, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": where}, "spec": spec}


def test_each_fault_on_a_cluster_is_reported(
    platform: Lab,
    prometheus: str,
    certificate: tuple[Path, Path],
    authority: Authority,
    kubectl_reaches: Callable[..., None],
    call_mlp: Callable[..., Called],
    tmp_path: Path,
) -> None:
    """Break one thing after another on a healthy platform.

    Two findings are expected from the start: cert-manager's kinds are absent, and one target is down.
    """
    platform.kubectl(
        "delete", "crd", "certificates.cert-manager.io", "--ignore-not-found"
    )  # left by another test's charts
    with edge(certificate) as (outputs, port), answering(Alertmanager(SLACK)) as alertmanager:
        publish(platform, outputs)
        publish(platform, outputs, "team-red")
        forwards = {
            "mlp-monitoring/svc/kube-prometheus-stack-prometheus:9090": int(prometheus.rpartition(":")[2]),
            "mlp-monitoring/svc/kube-prometheus-stack-alertmanager:9093": alertmanager,
        }
        kubectl_reaches(forwards)
        arguments = ("platform", "check", "--ca-file", str(authority.certificate), "--http-port", str(port))
        done = call_mlp(Project(tmp_path), *arguments, "--json")
        seen = {(finding["level"], finding["text"]) for finding in json.loads(done.out)}
        assert ("ok", "platform ml on ml.example.com, contract version 1.") in seen
        assert ("ok", "3 namespaces have network policies.") in seen
        assert (
            "ok",
            "policies are enforced: a pod of MLflow cannot reach kube-prometheus-stack-grafana.mlp-monitoring:80.",
        ) in seen
        assert ("ok", "mlp-check-test restricts each team's routes to its own hosts and paths.") in seen
        assert ("ok", "1 team namespaces have quota, limits and Pod Security.") in seen
        assert ("ok", "1 services checked.") in seen
        assert any(level == "ok" and text.startswith("Prefect of red requires a login") for level, text in seen)
        assert any(level == "ok" and text.startswith("Kubernetes v1.") for level, text in seen)
        problems = sorted(text for level, text in seen if level == "problem")
        assert [text.partition(" (")[0] for text in problems] == [
            "Prometheus cannot scrape gone",
            "cert-manager's CRDs are missing.",
        ]
        assert done.code == 1

        table = call_mlp(Project(tmp_path), *arguments).out
        assert table.splitlines()[0].split() == ["level", "area", "finding", "remedy"]
        assert "2 problems found." in table

        kubectl_reaches(forwards, says="open")
        platform.kubectl("-n", "team-red", "delete", "networkpolicy,resourcequota,limitrange", "--all")
        platform.kubectl("delete", "validatingadmissionpolicybinding", "mlp-check-test")
        broken = deployment("mlflow", "mlp-mlflow", **{"k8slab/ready": "false"})
        platform.kubectl("-n", "mlp-mlflow", "delete", "deployment", "mlflow")
        platform.kubectl("apply", "-f", "-", text=json.dumps(broken))
        found = [
            finding["text"]
            for finding in json.loads(call_mlp(Project(tmp_path), *arguments, "--json").out)
            if finding["level"] == "problem"
        ]
        assert "mlflow in mlp-mlflow: 0 of 1 pods pass their probes." in found
        assert "team-red has no NetworkPolicy." in found
        assert any(text.startswith("network policies are NOT enforced: a pod of MLflow reached") for text in found)
        assert "nothing restricts a team's routes to its own hosts and paths." in found
        assert "team-red lacks resourcequotas, limitranges." in found


def publish(lab: Lab, outputs: SharedOutputs, where: str = "mlp-ingress") -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "platform-outputs", "namespace": where},
        "data": outputs_data(outputs),
    }
    lab.kubectl("apply", "-f", "-", text=json.dumps(manifest))


def test_a_cluster_without_a_platform_is_reported_once(
    lab: Lab, kubectl_reaches: Callable[..., None], call_mlp: Callable[..., Called], tmp_path: Path
) -> None:
    kubectl_reaches()
    lab.kubectl("delete", "configmap", "-n", "mlp-ingress", "platform-outputs", "--ignore-not-found")
    done = call_mlp(Project(tmp_path), "platform", "check", "--json")
    (finding,) = json.loads(done.out)
    assert (done.code, finding["area"]) == (1, "outputs")
    assert finding["remedy"] == "Run `pulumi up` in infra_stack/, which publishes it."
