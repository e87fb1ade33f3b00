"""The resource graph of the Prefect component. `test_prefect_server` runs the commands of the pods."""

import importlib.metadata
from typing import Any

import pytest

from platform_lib.infra.base.setting_rules import SettingError
from tests.infra.harness.graph import Graph
from tests.infra.services.platform import PREFECT_PASSWORD, prefect_graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return prefect_graph()


def pods(graph: Graph) -> dict[str, dict[str, Any]]:
    return {one.name: one.inputs["spec"]["template"]["spec"] for one in graph.kubernetes("Deployment")}


def test_every_team_has_a_server_and_a_worker(graph: Graph) -> None:
    component = graph.one("platform-lib:index:PrefectServer")

    assert sorted(pods(graph)) == ["prefect", "prefect-alpha-worker", "prefect-beta-worker"]
    assert {one.parent for one in graph.resources if one.type != component.type} == {component.urn}


def test_the_auth_string_is_only_in_the_secrets_of_every_client(graph: Graph) -> None:
    holders = {one.namespace for one in graph.kubernetes("Secret")}
    written = {urn.rsplit("::", 1)[1] for urn, text in graph.strings() if PREFECT_PASSWORD in text}

    assert holders == {"mlp-prefect", "team-alpha", "team-beta"}
    assert written == {"prefect-auth", "prefect-alpha-team-auth", "prefect-beta-team-auth"}
    assert graph.secret_outputs == set()


def test_every_container_is_restricted_and_only_workers_may_call_kubernetes(graph: Graph) -> None:
    for name, pod in pods(graph).items():
        assert pod["automountServiceAccountToken"] is name.endswith("-worker")
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod["initContainers"]]:
            rights = container["securityContext"]
            assert (rights["readOnlyRootFilesystem"], rights["capabilities"]) == (True, {"drop": ["ALL"]})


def test_a_worker_has_rights_only_in_its_teams_namespace(graph: Graph) -> None:
    role = graph.one("kubernetes:rbac.authorization.k8s.io/v1:Role", "prefect-alpha-worker")
    [subject] = graph.one("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "prefect-alpha-worker").inputs[
        "subjects"
    ]

    assert role.namespace == "team-alpha"
    assert {resource for rule in role.inputs["rules"] for resource in rule["resources"]} == {
        "jobs",
        "pods",
        "pods/log",
        "pods/status",
        "events",
    }
    assert (subject["namespace"], subject["name"]) == ("mlp-prefect", "prefect-worker-alpha")
    assert graph.of("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole") == []


def test_the_image_has_the_version_that_the_tests_run(graph: Graph) -> None:
    assert (
        pods(graph)["prefect"]["containers"][0]["image"]
        .split(":")[1]
        .startswith(f"{importlib.metadata.version('prefect')}-python3")
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ui_host": "https://x"}, "give a host name"),
        ({"team_namespaces": {"A b": "x"}}, "the team name is"),
    ],
)
def test_invalid_arguments_are_refused_before_any_resource_exists(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        prefect_graph(**changed)
