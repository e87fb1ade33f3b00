"""Prometheus, Alertmanager and Grafana in the resource graph, without the content of the chart."""

import json
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest
import yaml

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.monitoring.observability import Observability, ObservabilityArgs
from tests.infra.chart_stubs.charts import facts
from tests.infra.harness.graph import Graph, run_program
from tests.infra.monitoring.alert_rules import NAMESPACES

SLACK = "https://hooks.slack.com/services/T0/B0/secret"
GRAFANA = "https://grafana.ml.example.com"


def graph(*, preview: bool = False, secret: bool = False, **args: Any) -> Graph:
    def declare() -> None:
        cluster = k8s.Provider("cluster", cluster_identifier="test")
        given = {"grafana_url": GRAFANA, "alerts": SLACK, "placement": Placement(size="standard"), **args}
        if secret:
            given["alerts"] = pulumi.Config("project").require_secret("alerts")
        Observability("observability", ObservabilityArgs(**given), opts=pulumi.ResourceOptions(provider=cluster))

    return run_program(declare, preview=preview, config={"project:alerts": SLACK}, secret_config=["project:alerts"])


@pytest.fixture(scope="module")
def made() -> Graph:
    return graph(secret=True)


def release(made: Graph) -> dict[str, Any]:
    return made.one("kubernetes:helm.sh/v3:Release").inputs


def secret_named(made: Graph, suffix: str) -> Any:
    return next(resource for resource in made.kubernetes("Secret") if resource.name.endswith(suffix))


def test_the_chart_is_installed_at_its_pinned_version(made: Graph) -> None:
    assert (release(made)["chart"], release(made)["version"], release(made)["name"]) == (
        "kube-prometheus-stack",
        "88.5.3",
        "kube-prometheus-stack",
    )


def test_the_alert_address_is_only_in_a_secret(made: Graph) -> None:
    routing = secret_named(made, "-alerts")
    assert any(path.startswith("stringData") for path in routing.secret_inputs)
    assert (
        SLACK
        in yaml.safe_load(routing.inputs["stringData"]["alertmanager.yaml"])["receivers"][1]["slack_configs"][0][
            "api_url"
        ]
    )
    assert "hooks.slack.com" not in json.dumps(release(made))
    assert [resource.name for resource in made.resources if SLACK in json.dumps(resource.inputs, default=str)] == [
        routing.name
    ]
    spec = release(made)["values"]["alertmanager"]["alertmanagerSpec"]
    assert spec["useExistingSecret"] is True
    assert spec["configSecret"]


def test_an_invalid_address_is_refused_before_any_resource_exists() -> None:
    with pytest.raises(SettingError, match="alerts is not of the expected form"):
        ObservabilityArgs(grafana_url=GRAFANA, alerts="#channel")


def test_grafana_takes_the_user_from_the_login_proxy_and_shows_no_form(made: Graph) -> None:
    ini = release(made)["values"]["grafana"]["grafana.ini"]
    assert ini["auth.proxy"]["enabled"] is True
    assert ini["auth.proxy"]["header_name"] == "X-Auth-Request-Email"
    assert ini["auth"]["disable_login_form"] is True
    assert ini["users"]["auto_assign_org_role"] == "Viewer"
    admin = secret_named(made, "-grafana")
    assert any(path.startswith("stringData") for path in admin.secret_inputs)
    assert release(made)["values"]["grafana"]["admin"]["existingSecret"] == admin.inputs["metadata"]["name"]


def test_only_traefik_reaches_grafana_and_only_the_namespace_reaches_the_rest(made: Graph) -> None:
    policies = {
        resource.inputs["metadata"]["name"]: resource.inputs["spec"] for resource in made.kubernetes("NetworkPolicy")
    }
    assert policies["monitoring-inside"]["ingress"] == [{"from": [{"podSelector": {}}]}]
    grafana = policies["monitoring-grafana"]
    assert grafana["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "grafana"}
    assert grafana["ingress"][0]["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlp-ingress"}}}
    ]
    opened = [name for name, spec in policies.items() if any("from" not in rule for rule in spec["ingress"])]
    assert opened == ["monitoring-operator"]


def test_retention_and_storage_are_set_for_each_size() -> None:
    small = release(graph(placement=Placement(size="small"), retention_days=7))["values"]["prometheus"][
        "prometheusSpec"
    ]
    assert (small["retention"], small["retentionSize"]) == ("7d", "8GiB")
    assert small["storageSpec"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"] == "10Gi"
    large = release(graph(placement=Placement(size="standard", storage_class="fast", volumes_gib={"prometheus": 200})))[
        "values"
    ]
    spec = large["prometheus"]["prometheusSpec"]
    assert spec["retentionSize"] == "160GiB"
    assert spec["storageSpec"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "fast"
    assert large["grafana"]["persistence"]["storageClassName"] == "fast"


def test_models_in_every_namespace_are_scraped_and_have_dashboards(made: Graph) -> None:
    values = release(made)["values"]
    selectors = {
        name: value
        for name, value in values["prometheus"]["prometheusSpec"].items()
        if name.endswith("NilUsesHelmValues")
    }
    assert set(selectors.values()) == {False}
    assert len(selectors) == 5
    assert values["grafana"]["sidecar"]["dashboards"]["searchNamespace"] == "ALL"


def test_the_platform_monitors_itself(made: Graph) -> None:
    rules = made.kubernetes("PrometheusRule")[0].inputs["spec"]["groups"]
    assert {"PlatformServiceDown", "CertificateExpires", "AlertsNotDelivered"} <= {
        rule["alert"] for rule in rules[0]["rules"]
    }
    assert all(namespace in rules[0]["rules"][0]["expr"] for namespace in NAMESPACES)
    scraped = {
        resource.inputs["metadata"]["name"]: resource.inputs["spec"] for resource in made.kubernetes("PodMonitor")
    }
    assert scraped["platform-traefik"]["podMetricsEndpoints"] == [{"port": "metrics", "interval": "30s"}]
    board = next(resource for resource in made.kubernetes("ConfigMap") if resource.name == "observability-dashboard")
    assert json.loads(board.inputs["data"]["mlp-platform.json"])["uid"] == "mlp-platform"
    # Their kinds come with the chart.
    assert all(
        made.one("kubernetes:helm.sh/v3:Release").urn in resource.opts["depends_on"]
        for resource in made.kubernetes("PrometheusRule")
    )


def test_mirrors_are_used() -> None:
    mirrors = Mirrors(
        chart_mirror="https://charts.example.com",
        image_registry="registry.example.com/mirror",
        http_proxy="http://proxy:3128",
        ca_bundle="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    )
    made = graph(placement=Placement(mirrors=mirrors))
    assert release(made)["repositoryOpts"] == {"repo": "https://charts.example.com"}
    assert release(made)["values"]["global"] == {"imageRegistry": "registry.example.com/mirror"}
    assert "proxy_url: http://proxy:3128" in secret_named(made, "-alerts").inputs["stringData"]["alertmanager.yaml"]
    spec = release(made)["values"]["alertmanager"]["alertmanagerSpec"]
    assert spec["volumeMounts"][0]["mountPath"] == "/etc/ssl/certs/platform-ca.crt"
    assert spec["volumes"][0]["configMap"] == {"name": "platform-ca"}  # which the foundation puts into every namespace


def test_a_preview_shows_the_same_parts(made: Graph) -> None:
    assert sorted(resource.urn for resource in graph(preview=True, secret=True).resources) == sorted(
        resource.urn for resource in made.resources
    )


def test_registered_outputs_are_the_declared_ones(made: Graph) -> None:
    component = made.one("platform-lib:index:Observability")
    assert component.outputs.keys() == {name for name in Observability.__annotations__ if not name.startswith("_")}
    assert (component.outputs["prometheus_url"], component.secret_outputs) == (
        "http://kube-prometheus-stack-prometheus.mlp-monitoring:9090",
        {"grafana_edge_password"},
    )


def test_every_chart_value_exists_in_the_charts_defaults() -> None:
    """The chart has no values schema and ignores misspelt keys, so keys are compared with its defaults."""
    defaults = json.loads(
        (facts() / "defaults" / "kube-prometheus-stack_88.5.3.defaults.json").read_text(encoding="utf-8")
    )
    grafana = json.loads((facts() / "defaults" / "grafana_12.11.1.defaults.json").read_text(encoding="utf-8"))
    values = release(graph(placement=Placement(mirrors=Mirrors(image_registry="mirror.example.com"))))["values"]
    known = {
        "alertmanager.alertmanagerSpec.configSecret",  # a comment of the chart's values
        # Belongs to a subchart that is not part of the facts.
        *(f"kube-state-metrics.{key}" for key in ("resources", "securityContext", "containerSecurityContext")),
    }
    merged = {**defaults, "grafana": merge(grafana, defaults["grafana"])}
    assert [path for path in unknown(values, merged) if path not in known] == []


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in over.items()
    }
    return {**base, **both}


def unknown(values: dict[str, Any], defaults: dict[str, Any], path: str = "") -> list[str]:
    """Paths that the defaults lack. An empty default, and Grafana's own settings, accept any key."""
    found = []
    for key, value in values.items():
        here = f"{path}.{key}".strip(".")
        if key not in defaults:
            found.append(here)
        elif (
            isinstance(value, dict)
            and isinstance(defaults[key], dict)
            and defaults[key]
            and here != "grafana.grafana.ini"
        ):
            found += unknown(value, defaults[key], here)
    return found


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"retention_days": 0}, "retention_days is 0: give 1 or more"),
        ({"grafana_url": "grafana"}, "grafana_url is 'grafana': give an https:// address"),
    ],
    ids=["days", "url"],
)
def test_invalid_arguments_are_refused_before_any_resource_exists(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        ObservabilityArgs(**{"grafana_url": GRAFANA, **wrong})


def test_a_teams_series_and_alerts_bear_its_namespace_and_the_platforms_keep_theirs(made: Graph) -> None:
    spec = release(made)["values"]["prometheus"]["prometheusSpec"]
    assert spec["enforcedNamespaceLabel"] == "namespace"
    assert {one["namespace"] for one in spec["excludedFromEnforcement"]} == {"mlp-monitoring"}
    assert {one["resource"] for one in spec["excludedFromEnforcement"]} >= {"servicemonitors", "prometheusrules"}


def test_the_charts_rules_are_created_before_its_webhook_answers_and_later_ones_are_validated(made: Graph) -> None:
    webhooks = release(made)["values"]["prometheusOperator"]["admissionWebhooks"]
    assert webhooks["failurePolicy"] == "IgnoreOnInstallOnly"
