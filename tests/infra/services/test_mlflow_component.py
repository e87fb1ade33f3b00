"""The resource graph of the MLflow component. `test_mlflow_server` runs the commands of the pods."""

import importlib.metadata
import json
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import certifi
import pytest

from platform_lib.infra.base.access import S3Access
from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import SettingError
from tests.conftest import REPOSITORY
from tests.infra.harness.graph import Graph
from tests.infra.services.platform import METRICS_PASSWORD, mlflow_args, mlflow_graph, sha256
from tests.infra.stacks import CA


@pytest.fixture(scope="module")
def graph() -> Graph:
    return mlflow_graph()


def pod_of(graph: Graph) -> dict[str, Any]:
    spec: dict[str, Any] = graph.one("kubernetes:apps/v1:Deployment", "mlflow").inputs["spec"]["template"]["spec"]
    return spec


def test_everything_is_a_child_of_the_component_and_is_named_after_it(graph: Graph) -> None:
    component = graph.one("platform-lib:index:MlflowServer")
    children = [resource for resource in graph.resources if resource is not component]

    assert {child.parent for child in children} == {component.urn}
    assert all(child.name.startswith("mlflow") for child in children)


def test_a_preview_shows_the_same_objects_as_an_up(graph: Graph) -> None:
    assert [resource.urn for resource in sorted(mlflow_graph(preview=True).resources, key=lambda r: r.urn)] == [
        resource.urn for resource in sorted(graph.resources, key=lambda r: r.urn)
    ]


def test_passwords_are_only_in_secrets(graph: Graph) -> None:
    written = {urn for urn, text in graph.strings() if METRICS_PASSWORD in text}

    assert {urn.rsplit("::", 1)[1] for urn in written} == {"mlflow-metrics"}
    assert graph.one("kubernetes:core/v1:Secret", "mlflow-metrics").secret_inputs == {"stringData"}
    assert graph.one("kubernetes:core/v1:Secret", "mlflow-access").secret_inputs == {"stringData"}
    assert graph.secret_outputs == set()


def test_the_access_file_contains_only_password_hashes(graph: Graph) -> None:
    kept = json.loads(graph.one("kubernetes:core/v1:Secret", "mlflow-access").inputs["stringData"]["access.json"])

    assert kept["metrics"] == [sha256(METRICS_PASSWORD)]
    assert kept["teams"] == {"alpha": [sha256("alpha-password")], "beta": [sha256("beta-password")]}
    assert kept["ci"] == {"alpha": [sha256("alpha-ci-password")], "beta": [sha256("beta-ci-password")]}


def test_everybody_of_a_team_may_promote_and_take_any_free_name_unless_settings_say_otherwise(graph: Graph) -> None:
    narrowed = mlflow_graph(champion_roles=["ci"], name_patterns={"alpha": ("alpha", "alpha-*")})
    before, after = (
        json.loads(one.one("kubernetes:core/v1:Secret", "mlflow-access").inputs["stringData"]["access.json"])
        for one in (graph, narrowed)
    )

    assert (before["champion_roles"], before["name_patterns"]) == (["ci", "machines", "members"], None)
    assert (after["champion_roles"], after["name_patterns"]) == (["ci"], {"alpha": ["alpha", "alpha-*"]})


def test_every_container_is_restricted(graph: Graph) -> None:
    pod = pod_of(graph)

    assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"]) == (False, True)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod["initContainers"]]:
        rights = container["securityContext"]
        assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"], rights["capabilities"]) == (
            False,
            True,
            {"drop": ["ALL"]},
        )
        assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_only_the_edge_monitoring_and_the_teams_may_connect(graph: Graph) -> None:
    [rule] = graph.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", "mlflow").inputs["spec"]["ingress"]

    names = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in rule["from"]]
    assert names == ["mlp-ingress", "mlp-monitoring", "team-alpha", "team-beta"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 5000}]


def test_artifacts_on_a_volume_are_protected_and_have_one_writer(graph: Graph) -> None:
    assert graph.one("kubernetes:core/v1:PersistentVolumeClaim").opts["protect"] is True
    spec = graph.one("kubernetes:apps/v1:Deployment").inputs["spec"]
    assert (spec["strategy"], spec["replicas"]) == ({"type": "Recreate"}, 1)


def test_artifacts_in_a_bucket_need_no_volume_and_keys_are_references() -> None:
    graph = mlflow_graph(
        artifacts=S3Access(uri="s3://models/mlflow", endpoint="https://s3.example.com:9443", secret="bucket"),
        placement=Placement(size="standard"),
    )
    server = pod_of(graph)["containers"][0]

    assert graph.of("kubernetes:core/v1:PersistentVolumeClaim") == []
    assert server["command"][server["command"].index("--artifacts-destination") + 1] == "s3://models/mlflow"
    keys = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in server["env"] if "valueFrom" in entry}
    assert keys["AWS_SECRET_ACCESS_KEY"] == {"name": "bucket", "key": "secret_access_key"}
    egress = graph.one("kubernetes:networking.k8s.io/v1:NetworkPolicy").inputs["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [53, 53, 5353, 5353, 9443, 5432]
    spec = graph.one("kubernetes:apps/v1:Deployment").inputs["spec"]
    assert (spec["strategy"]["rollingUpdate"]["maxUnavailable"], spec["replicas"]) == (0, 2)


def test_the_pod_uses_the_image_registry_and_a_proxy_only_for_a_bucket() -> None:
    mirrors = Mirrors(
        image_registry="registry.example.com/mirror",
        http_proxy="http://proxy.example.com:3128",
        ca_bundle=CA,
    )
    graph = mlflow_graph(placement=Placement(mirrors=mirrors), artifacts=S3Access(uri="s3://bucket/mlflow"))
    pod = pod_of(graph)
    migrate, server = pod["initContainers"][0], pod["containers"][0]

    assert server["image"].startswith("registry.example.com/mirror/mlflow/mlflow:")
    assert {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"} in server["env"]
    assert {"name": "AWS_CA_BUNDLE", "value": "/tmp/ca-bundle.pem"} in server["env"]
    for container in (migrate, server):
        assert {"name": "platform-ca", "mountPath": "/etc/platform-ca", "readOnly": True} in container["volumeMounts"]
    egress = graph.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", "mlflow").inputs["spec"]["egress"]
    assert {port["port"] for rule in egress for port in rule["ports"]} == {53, 5353, 5432, 443, 3128, 80}

    beside = pod_of(mlflow_graph(placement=Placement(mirrors=mirrors)))["containers"][0]
    assert [
        entry["name"] for entry in beside["env"] if "PROXY" in entry["name"].upper() or "CA_BUNDLE" in entry["name"]
    ] == []


def test_the_platforms_cas_are_added_to_the_public_ones(tmp_path: Path) -> None:
    public = certifi.contents()
    own, together = tmp_path / "ca.crt", tmp_path / "authorities.pem"
    own.write_text(
        public[public.index("-----BEGIN") : public.index("-----END")] + "-----END CERTIFICATE-----\n", encoding="utf-8"
    )
    program = f"import mlflow_access; mlflow_access.trust({str(own)!r}, {str(together)!r})"
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "platform_lib" / "infra" / "mlflow" / "in_image")},
    )

    text = together.read_text(encoding="utf-8")
    assert own.read_text(encoding="utf-8") in text
    assert text.count("-----BEGIN CERTIFICATE-----") == public.count("-----BEGIN CERTIFICATE-----") + 1
    ssl.create_default_context(cafile=str(together))


def test_the_image_has_the_version_that_the_tests_run(graph: Graph) -> None:
    assert pod_of(graph)["containers"][0]["image"].split(":")[1] == f"v{importlib.metadata.version('mlflow')}-full"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ui_host": "https://mlflow.example.com"}, "give a host name"),
        ({"team_password_hashes": {"Team A": []}}, "the team name is 'Team A'"),
        ({"team_password_hashes": {"metrics": []}, "group_teams": {}}, "the team name is 'metrics'"),
        ({"group_teams": {"g": "gamma"}}, "group_teams names unknown teams"),
        ({"edge_password_hashes": []}, "nobody could open MLflow's pages"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_invalid_arguments_are_refused_before_any_resource_exists(changed: dict[str, Any], words: str) -> None:
    with pytest.raises((SettingError, ValueError), match=re.escape(words)):
        mlflow_args(**changed)
