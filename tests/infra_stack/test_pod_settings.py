"""Settings of pods, volumes and the load balancer reach every pod of the platform and every chart."""

import base64
import json
from typing import Any

import pytest

from tests.infra.harness.graph import Graph
from tests.infra.stacks import POD_SETTINGS, run_stack

SELECTOR = {"pool": "platform"}
TOLERATIONS = [
    {"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"},
    {"key": "spot", "operator": "Exists", "effect": "NoExecute"},
]
MARKS = {"karpenter.sh/do-not-disrupt": "true"}
PULLS = [{"name": "image-pull"}, {"name": "company-registry"}]
ROLE = "eks.amazonaws.com/role-arn"
# Chart → the parts of its values that make pods, the key of their annotations, and where the pull secrets are.
CHARTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "traefik": (("",), "deployment.podAnnotations", "deployment.imagePullSecrets"),
    "cert-manager": (("", "webhook", "cainjector", "startupapicheck"), "podAnnotations", "global.imagePullSecrets"),
    "oauth2-proxy": (("",), "podAnnotations", "imagePullSecrets"),
    "cloudnative-pg": (("",), "podAnnotations", "imagePullSecrets"),
    "kube-prometheus-stack": (
        ("prometheusOperator", "kube-state-metrics", "grafana"),
        "podAnnotations",
        "global.imagePullSecrets",
    ),
    "keda": (("",), "podAnnotations.keda", "imagePullSecrets"),
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    own_postgres: dict[str, Any] = {
        "mlflow_database_url": "",
        "prefect_database_url": "",
        "team_prefect_database_urls": [],
    }
    return run_stack("team", secrets=["image_pull_logins"], **own_postgres, **POD_SETTINGS)


@pytest.fixture(scope="module")
def plain() -> Graph:
    return run_stack("local")


def at(values: Any, path: str) -> Any:
    """The value at a path such as `deployment.podAnnotations`."""
    for key in filter(None, path.split(".")):
        values = values[key]
    return values


def values(graph: Graph, chart: str) -> dict[str, Any]:
    [found] = [r.inputs["values"] for r in graph.of("kubernetes:helm.sh/v3:Release") if r.inputs["name"] == chart]
    return dict(found)


def test_every_own_pod_has_nodes_tolerations_annotations_and_pull_secrets(graph: Graph) -> None:
    templates = {r.name: r.inputs["spec"]["template"] for r in graph.kubernetes("Deployment")}
    assert {"mlflow", "prefect", "prefect-churn-server", "prefect-churn-server-churn-worker"} <= set(templates)
    for name, template in templates.items():
        assert template["metadata"]["annotations"] == MARKS, name
        spec = template["spec"]
        assert (spec["nodeSelector"], spec["tolerations"], spec["imagePullSecrets"]) == (SELECTOR, TOLERATIONS, PULLS)


def test_no_pod_has_any_of_them_unless_they_are_set(plain: Graph) -> None:
    for resource in plain.kubernetes("Deployment"):
        template = resource.inputs["spec"]["template"]
        assert "annotations" not in template["metadata"]
        assert not {"nodeSelector", "tolerations", "imagePullSecrets"} & set(template["spec"])
    assert not [r for r in plain.kubernetes("Secret") if r.inputs["metadata"].get("name") == "image-pull"]


@pytest.mark.parametrize("chart", CHARTS)
def test_every_pod_of_a_chart_has_them_too(graph: Graph, chart: str) -> None:
    parts, annotations, pulls = CHARTS[chart]
    given = values(graph, chart)
    assert at(given, pulls) == PULLS
    for part in parts:
        assert (at(given, part)["nodeSelector"], at(given, part)["tolerations"]) == (SELECTOR, TOLERATIONS)
        assert at(at(given, part), annotations) == MARKS


def test_the_charts_of_the_stack_are_all_tested(graph: Graph) -> None:
    assert {r.inputs["name"] for r in graph.of("kubernetes:helm.sh/v3:Release")} == set(CHARTS)


def test_the_pods_that_operators_make_have_them_too(graph: Graph) -> None:
    monitoring = values(graph, "kube-prometheus-stack")
    for spec in (monitoring["prometheus"]["prometheusSpec"], monitoring["alertmanager"]["alertmanagerSpec"]):
        assert (spec["nodeSelector"], spec["tolerations"]) == (SELECTOR, TOLERATIONS)
        assert spec["podMetadata"] == {"annotations": MARKS}
    postgres = graph.kubernetes("Cluster")[0].inputs["spec"]
    assert postgres["affinity"] == {"nodeSelector": SELECTOR, "tolerations": TOLERATIONS}
    assert (postgres["imagePullSecrets"], postgres["inheritedMetadata"]) == (PULLS, {"annotations": MARKS})
    [issuer] = graph.kubernetes("ClusterIssuer")
    [solver] = issuer.inputs["spec"]["acme"]["solvers"]
    placed = {"nodeSelector": SELECTOR, "tolerations": TOLERATIONS, "imagePullSecrets": PULLS}
    assert solver["http01"]["ingress"]["podTemplate"] == {"spec": placed}


def test_the_login_to_the_registry_is_in_every_namespace_and_published_to_the_teams(graph: Graph) -> None:
    secrets = [r.inputs for r in graph.kubernetes("Secret") if r.inputs["metadata"].get("name") == "image-pull"]
    places = {secret["metadata"]["namespace"] for secret in secrets}
    assert places == {r.inputs["metadata"]["name"] for r in graph.kubernetes("Namespace")}
    assert {"team-churn", "mlp-prefect-fraud"} <= places
    assert {secret["type"] for secret in secrets} == {"kubernetes.io/dockerconfigjson"}
    login = json.loads(secrets[0]["stringData"][".dockerconfigjson"])["auths"]["registry.example.com"]
    assert (login["username"], login["password"]) == ("robot", "pull:secret")
    assert base64.b64decode(login["auth"]) == b"robot:pull:secret"
    assert graph.outputs["registry_logins"] == "image-pull company-registry"


def test_training_pods_pull_with_it_and_have_the_identity_of_their_team(graph: Graph) -> None:
    accounts = {
        (r.namespace, r.inputs["metadata"]["name"]): r.inputs
        for r in graph.kubernetes("ServiceAccount")
        if "name" in r.inputs["metadata"]
    }
    churn, fraud = accounts["team-churn", "train"], accounts["team-fraud", "train"]
    assert churn["imagePullSecrets"] == fraud["imagePullSecrets"] == PULLS
    assert churn["metadata"]["annotations"] == {ROLE: "arn:aws:iam::1:role/churn"}
    assert "annotations" not in fraud["metadata"]
    assert accounts["mlp-mlflow", "mlflow"]["metadata"]["annotations"] == {ROLE: "arn:aws:iam::1:role/mlflow"}
    postgres = graph.kubernetes("Cluster")[0].inputs["spec"]["serviceAccountTemplate"]
    assert postgres["metadata"]["annotations"] == {ROLE: "arn:aws:iam::1:role/postgres"}


def test_volumes_have_the_given_sizes(graph: Graph) -> None:
    monitoring = values(graph, "kube-prometheus-stack")
    assert graph.kubernetes("Cluster")[0].inputs["spec"]["storage"]["size"] == "11Gi"
    prometheus = monitoring["prometheus"]["prometheusSpec"]
    assert "13Gi" in str(prometheus["storageSpec"]) and prometheus["retentionSize"] == "10GiB"
    assert "14Gi" in str(monitoring["alertmanager"]["alertmanagerSpec"]["storage"])
    assert monitoring["grafana"]["persistence"]["size"] == "15Gi"
    [claim] = run_stack("local", volume_gib=["artifacts=12"]).kubernetes("PersistentVolumeClaim")
    assert claim.inputs["spec"]["resources"]["requests"]["storage"] == "12Gi"


def test_the_load_balancer_has_its_annotations_sources_policy_and_protocol(graph: Graph, plain: Graph) -> None:
    traefik = values(graph, "traefik")
    assert traefik["service"] == {
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
        "annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"},
        "loadBalancerSourceRanges": ["203.0.113.0/24"],
    }
    assert [traefik["ports"][port]["proxyProtocol"] for port in ("web", "websecure")] == [
        {"trustedIPs": ["10.0.0.0/8"]}
    ] * 2
    assert values(plain, "traefik")["service"]["spec"] == {"type": "LoadBalancer"}
