"""The shared stack's resource graph for every example stack, in preview and up, without a cluster."""

from collections.abc import Mapping
from typing import Any

import pytest

from platform_lib.infra.base.outputs import read_outputs
from platform_lib.names import OUTPUTS_CONFIG_MAP
from tests.infra.chart_stubs.charts import facts
from tests.infra.harness.apply import dependencies
from tests.infra.harness.checks import schema_errors, string_errors, values_errors
from tests.infra.harness.graph import Graph
from tests.infra.stacks import EXAMPLES, FOLDER, MIRRORED, POD_SETTINGS, run_stack

STACK = "pulumi:pulumi:Stack"
VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "local": ("local", {}),
    "team": ("team", {}),
    "aws": ("aws", {}),
    "local, mirrored": ("local", MIRRORED),
    "team, mirrored": ("team", MIRRORED),
    "no team": ("local", {"teams": [], "team_models": []}),
    "small login": ("team", {"size": "small", "ui_groups": []}),
    "a cluster that has everything": (
        "local",
        {
            "use_existing": ["cert-manager", "prometheus-operator", "cloudnative-pg", "keda=scaling"],
            "request_rate_scaling": True,
            "ingress_class": "mlp",
        },
    ),
    "every setting of pods": (
        "team",
        {**POD_SETTINGS, "mlflow_database_url": "", "prefect_database_url": "", "team_prefect_database_urls": []},
    ),
    "own Postgres, bucket without keys": (
        "team",
        {
            "mlflow_database_url": "",
            "prefect_database_url": "",
            "team_prefect_database_urls": [],
            "s3_access_key_id": "",
            "s3_secret_access_key": "",
        },
    ),
}


RUNS = [(name, False) for name in VARIANTS] + [(name, True) for name in EXAMPLES]


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: f"{run[0]}-{'preview' if run[1] else 'up'}")
def graph(request: pytest.FixtureRequest) -> Graph:
    name, preview = request.param
    example, changes = VARIANTS[name]
    secrets = [key for key in ("image_pull_logins",) if key in changes]
    return run_stack(example, preview=preview, secrets=secrets, **changes)


def test_every_resource_has_a_parent_and_only_components_are_top_level(graph: Graph) -> None:
    by_urn = {resource.urn: resource for resource in graph.resources}
    top = [resource for resource in graph.resources if resource.parent not in by_urn]
    assert [r.name for r in top if r.custom] == [OUTPUTS_CONFIG_MAP]
    assert [r.urn for r in graph.resources if r.parent in by_urn and not r.name.startswith(by_urn[r.parent].name)] == []


def test_every_resource_uses_the_one_cluster_provider(graph: Graph) -> None:
    kubernetes = [r for r in graph.resources if r.custom and r.type.startswith("kubernetes:")]
    assert {r.provider for r in kubernetes} == {"cluster"}
    provider = graph.one("pulumi:providers:kubernetes")
    assert provider.inputs["clusterIdentifier"] == f"infra-stack-{provider.urn.split(':')[2]}-cluster"


def test_no_output_was_turned_into_text_and_none_is_secret(graph: Graph) -> None:
    assert string_errors(graph) == []
    assert graph.secret_outputs == set()
    assert graph.logs == []


def test_every_object_matches_its_strict_schema(graph: Graph) -> None:
    assert schema_errors(graph, facts()) == []


def test_every_charts_values_match_its_schema_and_defaults(graph: Graph) -> None:
    assert values_errors(graph, facts()) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_outputs_are_published_in_both_places_and_can_be_read_back(name: str) -> None:
    graph = run_stack(name)
    maps = {
        r.namespace: r.inputs["data"]
        for r in graph.kubernetes("ConfigMap")
        if r.inputs["metadata"].get("name") == OUTPUTS_CONFIG_MAP
    }
    assert "mlp-ingress" in maps and [namespace for namespace in maps if namespace.startswith("team-")]
    for namespace, data in maps.items():
        own = {}
        if namespace.startswith("team-"):
            prefect = namespace.replace("team-", "prefect-", 1)
            own = {
                "prefect_api_url": f"http://prefect-server.mlp-{prefect}:4200/api",
                "prefect_ui_url": f"https://{prefect}.{graph.outputs['domain']}",
                "request_log_store": "request-log-store" if name == "team" else "",
            }
        assert {key: str(value) for key, value in graph.outputs.items()} | own == data
        read_outputs(data)


@pytest.mark.parametrize("name", EXAMPLES)
def test_cert_manager_is_ready_before_whatever_creates_issuers_or_certificates(name: str) -> None:
    graph = run_stack(name)
    whole = {resource.urn: resource for resource in graph.resources}
    manager = next(r.urn for r in graph.resources if r.inputs.get("name") == "cert-manager")

    def comes_after_manager(urn: str) -> bool:
        needs = dependencies(whole[urn], whole)
        return manager in needs or any(comes_after_manager(needed) for needed in needs)

    issued = [r.urn for r in graph.resources if r.inputs.get("kind") in ("ClusterIssuer", "Issuer", "Certificate")]
    stack = [r.urn for r in graph.resources if r.inputs.get("name") == "kube-prometheus-stack"]  # has Issuers as well
    assert len(issued) >= 2 and stack
    assert [urn for urn in issued + stack if not comes_after_manager(urn)] == []


def test_a_cluster_that_has_everything_gets_no_second_operator_and_no_name_twice() -> None:
    example, changes = VARIANTS["a cluster that has everything"]
    graph = run_stack(example, **changes)
    releases = {r.inputs["name"]: r.inputs["values"] for r in graph.of("kubernetes:helm.sh/v3:Release")}
    assert set(releases) == {"traefik", "kube-prometheus-stack"}
    assert releases["traefik"]["ingressClass"]["name"] == "mlp"
    monitoring = releases["kube-prometheus-stack"]
    assert monitoring["prometheusOperator"]["enabled"] is monitoring["crds"]["enabled"] is False
    assert monitoring["fullnameOverride"] != "kube-prometheus-stack"
    # Another cert-manager looks for a cluster issuer's Secret in a namespace of its own.
    assert graph.kubernetes("ClusterIssuer") == [] and len(graph.kubernetes("Issuer")) == 2
    services = {r.inputs["metadata"].get("name") for r in graph.kubernetes("Service")}
    assert {"kube-prometheus-stack-prometheus", "kube-prometheus-stack-grafana"} <= services
    [policy] = [r for r in graph.kubernetes("NetworkPolicy") if r.name == "observability-keda"]
    [rule] = policy.inputs["spec"]["ingress"]
    assert "scaling" in str(rule["from"]) and rule["ports"][0]["port"] == 9090


def test_prometheus_reads_monitors_and_rules_of_the_platforms_namespaces_only() -> None:
    graph = run_stack("local")
    [values] = [
        r.inputs["values"]
        for r in graph.of("kubernetes:helm.sh/v3:Release")
        if r.inputs["name"] == "kube-prometheus-stack"
    ]
    spec = values["prometheus"]["prometheusSpec"]
    ours = {"matchLabels": {"app.kubernetes.io/part-of": "cloud-ml-platform"}}
    for kind in ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig"):
        assert spec[f"{kind}NamespaceSelector"] == ours
    spaces = [r.inputs["metadata"] for r in graph.kubernetes("Namespace")]
    assert len(spaces) >= 7
    assert [meta for meta in spaces if not ours["matchLabels"].items() <= meta["labels"].items()] == []


def test_the_program_is_short() -> None:
    assert len((FOLDER / "__main__.py").read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize(("size", "has_budget"), [("small", False), ("standard", True)])
def test_one_instance_of_postgres_does_not_forbid_the_drain_of_its_node(size: str, has_budget: bool) -> None:
    graph = run_stack("local", size=size)
    [cluster] = graph.kubernetes("Cluster")
    assert (cluster.inputs["spec"]["instances"] > 1, cluster.inputs["spec"]["enablePDB"]) == (has_budget, has_budget)


def test_a_changed_database_password_is_set_at_once() -> None:
    owners = [
        one.inputs["metadata"] for one in run_stack("local").kubernetes("Secret") if one.namespace == "mlp-database"
    ]
    assert len(owners) == 3 and {one["labels"]["cnpg.io/reload"] for one in owners} == {"true"}
