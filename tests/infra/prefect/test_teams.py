"""Each team has its own Prefect: server, auth string, database, host, groups and network."""

from typing import Any

import pytest

from tests.infra.harness.graph import Graph, Resource
from tests.infra.stacks import SECRETS, prefect_urls, run_stack

OWN: dict[str, Any] = {"mlflow_database_url": "", "prefect_database_url": "", "team_prefect_database_urls": []}
NAMESPACE_NAME = "kubernetes.io/metadata.name"


@pytest.fixture(scope="module")
def team() -> Graph:
    return run_stack("team", **OWN)


def in_space(graph: Graph, kind: str, namespace: str) -> list[Resource]:
    return [one for one in graph.kubernetes(kind) if one.namespace == namespace]


def spaces(rules: list[dict[str, Any]], side: str, port: int) -> set[str]:
    """Namespaces that rules name for a port."""
    return {
        peer["namespaceSelector"]["matchLabels"][NAMESPACE_NAME]
        for rule in rules
        if port in [entry["port"] for entry in rule["ports"]]
        for peer in rule[side]
        if "namespaceSelector" in peer
    }


def test_each_team_has_a_server_and_a_worker_and_the_stack_has_a_server(team: Graph) -> None:
    found = {
        (one.namespace, one.inputs["metadata"]["name"])
        for one in team.kubernetes("Deployment")
        if "prefect" in str(one.namespace)
    }

    assert found == {
        ("mlp-prefect", "prefect-server"),
        *(
            (f"mlp-prefect-{name}", pod)
            for name in ("churn", "fraud")
            for pod in ("prefect-server", f"prefect-worker-{name}")
        ),
    }


def test_each_team_has_its_own_auth_string_that_no_other_team_gets(team: Graph) -> None:
    strings: dict[str, set[str]] = {}
    for one in team.kubernetes("Secret"):
        if one.inputs["metadata"].get("name") == "prefect-auth":
            strings.setdefault(one.inputs["stringData"]["auth-string"], set()).add(str(one.namespace))

    assert sorted(map(sorted, strings.values())) == [
        ["mlp-prefect"],
        ["mlp-prefect-churn", "team-churn"],
        ["mlp-prefect-fraud", "team-fraud"],
    ]


def test_network_policies_admit_only_the_team_and_the_edge_to_its_prefect(team: Graph) -> None:
    for name, other in (("churn", "fraud"), ("fraud", "churn")):
        policies = in_space(team, "NetworkPolicy", f"mlp-prefect-{name}")
        reached = [spaces(one.inputs["spec"].get("ingress", []), "from", 4200) for one in policies]
        assert set().union(*reached) == {f"mlp-prefect-{name}", f"team-{name}", "mlp-ingress", "mlp-monitoring"}
        assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in [one.inputs["spec"] for one in policies]
        asked = [
            spaces(one.inputs["spec"].get("egress", []), "to", 4200)
            for one in team.kubernetes("NetworkPolicy")
            if name in str(one.namespace)
        ]
        assert set().union(*asked) == {f"mlp-prefect-{name}"} and f"mlp-prefect-{other}" not in set().union(*asked)


def test_a_teams_people_and_ci_may_forward_ports_only_to_their_own_prefect(team: Graph) -> None:
    for name in ("churn", "fraud"):
        [binding] = in_space(team, "RoleBinding", f"mlp-prefect-{name}")
        assert {subject["name"] for subject in binding.inputs["subjects"]} == {f"{name}-team", f"ci-{name}", "deployer"}
        assert {subject.get("namespace", f"team-{name}") for subject in binding.inputs["subjects"]} == {f"team-{name}"}
    assert in_space(team, "RoleBinding", "mlp-prefect") == []


def test_a_teams_prefect_pages_are_open_to_its_groups_and_administrators(team: Graph) -> None:
    for name in ("churn", "fraud"):
        [route] = in_space(team, "IngressRoute", f"mlp-prefect-{name}")
        [rule] = route.inputs["spec"]["routes"]
        assert rule["match"].startswith(f"Host(`prefect-{name}.ml.example.com`)")
        chain = {
            one.inputs["metadata"]["name"]: one.inputs["spec"]
            for one in in_space(team, "Middleware", f"mlp-prefect-{name}")
        }
        assert [entry["name"] for entry in rule["middlewares"]] == [
            "ui-rate",
            "ui-body",
            "ui-login",
            "ui-groups",
            "ui-identity",
        ]
        assert chain["ui-groups"]["forwardAuth"]["address"].endswith(
            f"/oauth2/auth?allowed_groups={name}-team,platform-admins"
        )


def test_each_server_has_its_own_database_and_role(team: Graph) -> None:
    addresses = {
        str(one.namespace): one.inputs["stringData"]["asyncpg_uri"]
        for one in team.kubernetes("Secret")
        if "asyncpg_uri" in one.inputs["stringData"]
    }
    [cluster] = team.kubernetes("Cluster")
    makers = {role["name"] for role in cluster.inputs["spec"]["managed"]["roles"] if role.get("createdb")}

    assert makers == {"prefect-churn", "prefect-fraud"}
    for name in makers:
        assert (
            addresses[f"mlp-{name}"].startswith(f"postgresql+asyncpg://{name}:")
            and f"/{name}?" in addresses[f"mlp-{name}"]
        )
    assert len(set(addresses.values())) == len(addresses)


def test_a_server_connects_to_its_own_namespaces_database(team: Graph) -> None:
    for name in ("churn", "fraud"):
        server = team.one("kubernetes:apps/v1:Deployment", f"prefect-{name}-server")
        for container in server.inputs["spec"]["template"]["spec"]["containers"]:
            [entry] = [one for one in container["env"] if one["name"] == "PREFECT_SERVER_DATABASE_CONNECTION_URL"]
            assert entry["valueFrom"]["secretKeyRef"]["name"].startswith(f"database-prefect-{name}-uri-")


def test_plain_text_database_urls_are_refused_with_the_command_that_encrypts_them() -> None:
    plain: dict[str, Any] = dict.fromkeys(SECRETS["team"], "") | {
        "oidc_issuer": "",
        "ui_groups": [],
        "team_prefect_database_urls": prefect_urls("churn"),
    }
    with pytest.raises(
        Exception, match=r"`pulumi config set --secret --path 'team_prefect_database_urls\[0\]'` encrypts it"
    ):
        run_stack("team", plain_secrets=True, **plain)


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (
            [],
            "team_prefect_database_urls names no team: with prefect_database_url, "
            "give TEAM=URL for each of churn, fraud",
        ),
        (["churn=postgresql://u:hunter2@h/d"], "team_prefect_database_urls names churn: "),
        (
            ["churn=mysql://u:hunter2@h/d"],
            "team_prefect_database_urls[0] is not of the expected form: write TEAM=postgresql://",
        ),
        (["postgresql://u:hunter2@h/d?a=b"], "team_prefect_database_urls[0] is not of the expected form"),
    ],
)
def test_there_must_be_one_external_database_per_team(urls: list[str], words: str) -> None:
    with pytest.raises(Exception) as caught:
        run_stack("team", team_prefect_database_urls=urls)
    assert words in str(caught.value) and "hunter2" not in str(caught.value)


def test_two_teams_may_not_share_an_external_database() -> None:
    same = "postgresql://u:hunter2@h/d"
    with pytest.raises(Exception, match="give MLflow, Prefect and each team a separate database") as caught:
        run_stack("team", team_prefect_database_urls=[f"churn={same}", f"fraud={same}"])
    assert "hunter2" not in str(caught.value)
