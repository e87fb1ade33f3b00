"""Teams cannot read or change each other's experiments, runs, models or artifacts on a real MLflow server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.infra.mlflow.in_image.mlflow_routes import routes
from tests.infra.services.containers import Pod
from tests.infra.services.platform import (
    ADMINS,
    EDGE_PASSWORD,
    WORKSPACES,
    Mlflow,
    basic,
    owned,
    sha256,
    without_workspaces,
)
from tests.infra.services.surface import ATTEMPTS, GRAPHQL, NOBODYS, Attempt, Target

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("platform-services")]


@pytest.fixture(scope="module")
def before(alpha: Target, mlflow: Mlflow) -> Any:
    """The same before anyone else tried anything; `test_after_all_attempts…` compares."""
    return owned(alpha, mlflow)


@pytest.fixture(scope="module")
def beta(mlflow: Mlflow) -> Iterator[httpx.Client]:
    """Team beta's machine, with an experiment of its own."""
    with mlflow.machine("beta") as client:
        made = client.post("/api/2.0/mlflow/experiments/create", json={"name": "beta-experiment"})
        assert made.status_code == 200, made.text
        yield client


def test_a_training_run_registers_and_promotes_with_a_pods_settings(alpha: Target, mlflow: Mlflow) -> None:
    with mlflow.machine("alpha") as client:
        moved = client.post(
            "/api/2.0/mlflow/registered-models/alias",
            json={"name": alpha.name, "alias": "champion", "version": alpha.version},
        )
        found = client.get("/api/2.0/mlflow/registered-models/alias", params={"name": alpha.name, "alias": "champion"})

    assert (moved.status_code, found.json()["model_version"]["version"]) == (200, "1")


def test_a_team_starts_and_ends_its_own_canary(alpha: Target, mlflow: Mlflow) -> None:
    version, api = {"name": alpha.name, "version": alpha.version}, "/api/2.0/mlflow"
    with mlflow.machine("alpha") as client:
        done = [
            client.post(f"{api}/model-versions/set-tag", json={**version, "key": "mlp.percent", "value": "10"}),
            client.post(f"{api}/registered-models/alias", json={**version, "alias": "canary"}),
            client.request("DELETE", f"{api}/registered-models/alias", json={"name": alpha.name, "alias": "canary"}),
            client.request("DELETE", f"{api}/model-versions/delete-tag", json={**version, "key": "mlp.percent"}),
        ]
    assert [answer.status_code for answer in done] == [200] * 4


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda a: f"{a.method} {a.rule}")
def test_other_teams_are_refused_on_every_route(
    attempt: Attempt, alpha: Target, beta: httpx.Client, before: Any, mlflow: Mlflow
) -> None:
    with mlflow.machine("beta", workspace="alpha") as attacker:
        answer = attempt.send(attacker, alpha)

    if attempt.lists:
        assert answer.status_code == 200, answer.text
        assert not any(name in answer.text for name in alpha.names()), answer.text
    elif (
        attempt.rule.endswith("/create")
        and attempt.json is not None
        and "name" in attempt.json
        and "source" not in attempt.json
        and not WORKSPACES  # of alpha's, in which beta may not create anything
    ):
        assert answer.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    else:
        assert answer.status_code == 403, answer.text


def test_after_all_attempts_everything_is_unchanged(alpha: Target, mlflow: Mlflow, before: Any) -> None:
    assert owned(alpha, mlflow) == before


def test_the_owner_may_use_the_routes_that_refuse_others(alpha: Target, mlflow: Mlflow) -> None:
    readable = [attempt for attempt in ATTEMPTS if attempt.method == "GET"]
    with mlflow.machine("alpha") as client:
        statuses = {attempt.rule: attempt.send(client, alpha).status_code for attempt in readable}

    assert {rule: status for rule, status in statuses.items() if status != 200} == {}


def test_every_route_that_teams_may_use_has_an_attempt() -> None:
    attempted = {(attempt.method, attempt.rule.replace("/ajax-api/", "/api/", 1)) for attempt in ATTEMPTS}

    assert attempted | NOBODYS | GRAPHQL == set(routes())


@pytest.fixture(scope="module")
def server_routes(mlflow_pod: Pod) -> list[tuple[str, str, bool]]:
    """(method, rule, whether Flask serves it) of the server's own route table, read in its own environment."""
    program = (
        "import json, os; os.environ['_MLFLOW_SGI_NAME'] = 'uvicorn'\n"
        "import mlflow_access; app = mlflow_access.create_app()._app\n"
        "from mlflow.server import app as flask\n"
        "found = [(m, r.rule, True) for r in flask.url_map.iter_rules() for m in r.methods - {'HEAD', 'OPTIONS'}]\n"
        "def walk(routes, prefix=''):\n"
        "    for route in routes:\n"
        "        if hasattr(route, 'original_router'):\n"
        "            walk(route.original_router.routes, route.include_context.prefix)\n"
        "        elif hasattr(route, 'endpoint'):\n"
        "            found.extend((m, prefix + route.path, False) for m in (route.methods or ['GET']))\n"
        "walk(app.routes)\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=mlflow_pod.environment("mlflow"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [(method, rule, flask) for method, rule, flask in json.loads(done.stdout.splitlines()[-1])]


def test_every_listed_route_exists_on_the_server(server_routes: list[tuple[str, str, bool]]) -> None:
    there = {(method, rule.replace("/ajax-api/", "/api/", 1)) for method, rule, _ in server_routes}

    assert set(routes()) - there == set()


def test_every_other_route_of_the_server_is_refused(
    server_routes: list[tuple[str, str, bool]], beta: httpx.Client
) -> None:
    open_to_all = (
        "/health",
        "/static-files/<path:path>",
        "/api/3.0/mlflow/server-info",
        "/ajax-api/3.0/mlflow/server-info",
    )
    others = [
        (method, rule)
        for method, rule, _ in server_routes
        if (method, rule.replace("/ajax-api/", "/api/", 1)) not in set(routes()) and rule not in open_to_all
    ]
    assert len(others) > 250

    statuses = {(method, rule): beta.request(method, _concrete(rule), json={}).status_code for method, rule in others}

    assert {route: status for route, status in statuses.items() if status != 403} == {}


def _concrete(rule: str) -> str:
    """The rule with something in place of its variables, whichever framework wrote them."""
    parts = ["1" if part[:1] in "<{" else part for part in rule.split("/")]
    return "/".join(parts)


@pytest.mark.parametrize(
    "query",
    [
        '{mlflowGetRun(input:{runId:"%(run)s"}){run{info{runId}}}}',
        '{mlflowGetExperiment(input:{experimentId:"%(experiment)s"}){experiment{name}}}',
        '{mlflowListArtifacts(input:{runId:"%(run)s"}){rootUri}}',
        '{mlflowGetMetricHistoryBulkInterval(input:{runIds:["%(run)s"],metricKey:"accuracy"}){metrics{key}}}',
        'mutation{mlflowSearchRuns(input:{experimentIds:["%(experiment)s"]}){runs{info{runId}}}}',
        'mutation{mlflowSearchDatasets(input:{experimentIds:["%(experiment)s"]}){datasetSummaries{name}}}',
        "{mlflowSearchModelVersions(input:{}){modelVersions{name}}}",
    ],
    ids=lambda text: text.split("(")[0].strip("{"),
)
def test_graphql_answers_only_the_owner(query: str, alpha: Target, mlflow: Mlflow, beta: httpx.Client) -> None:
    text = query % {"run": alpha.run, "experiment": alpha.experiment}

    [own] = mlflow.machine("alpha").post("/graphql", json={"query": text}).json()["data"].values()
    [others] = beta.post("/graphql", json={"query": text}).json()["data"].values()

    assert own is not None
    assert others is None or not any(others.values())


class TestSource:
    """The server reads files with its own permissions, so versions and experiments must not refer to other files."""

    @pytest.mark.parametrize(
        "source",
        [
            "mlflow-artifacts:/{experiment}/models/{logged_model}/artifacts",
            "file:///etc",
            "/etc",
            "s3://bucket/other",
            "runs:/{run}/model",
            "models:/{logged_model}",
            "models:/{name}/1",
            "http://169.254.169.254/",
        ],
    )
    def test_of_a_version_is_the_teams_own(
        self, source: str, alpha: Target, beta: httpx.Client, mlflow: Mlflow
    ) -> None:
        own = beta.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "beta-experiment"}).json()[
            "experiment"
        ]["experiment_id"]
        run = beta.post("/api/2.0/mlflow/runs/create", json={"experiment_id": own, "start_time": 1}).json()["run"][
            "info"
        ]["run_id"]
        beta.post("/api/2.0/mlflow/registered-models/create", json={"name": "beta-model"})
        text = source.format(
            experiment=alpha.experiment, logged_model=alpha.logged_model, run=alpha.run, name=alpha.name
        )

        for named in ({}, {"run_id": run}):
            answer = beta.post(
                "/api/2.0/mlflow/model-versions/create", json={"name": "beta-model", "source": text, **named}
            )
            assert answer.status_code == 403, answer.text

    def test_of_a_version_may_be_a_folder_of_the_teams_run(self, beta: httpx.Client) -> None:
        experiment = beta.get(
            "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "beta-experiment"}
        ).json()["experiment"]
        made = beta.post(
            "/api/2.0/mlflow/runs/create", json={"experiment_id": experiment["experiment_id"], "start_time": 1}
        ).json()["run"]["info"]
        beta.post("/api/2.0/mlflow/registered-models/create", json={"name": "beta-model"})
        body = {"name": "beta-model", "source": f"{made['artifact_uri']}/model", "run_id": made["run_id"]}

        assert beta.post("/api/2.0/mlflow/model-versions/create", json=body).status_code == 200

    def test_of_an_experiment_is_where_the_server_puts_it(self, beta: httpx.Client) -> None:
        body = {"name": "x", "artifact_location": "mlflow-artifacts:/1"}
        answer = beta.post("/api/2.0/mlflow/experiments/create", json=body)

        assert (answer.status_code, answer.text.split()[0]) == (403, "artifact_location")


@pytest.mark.parametrize(
    "path",
    [
        "//api/2.0/mlflow/runs/get",
        "/api/2.0/mlflow/runs/get/",
        "/static-files/../api/2.0/mlflow/runs/get",
        "/static/%2e%2e/api/2.0/mlflow/runs/get",
        "/health/../api/2.0/mlflow/runs/get",
        "/healthz/api/2.0/mlflow/runs/get",
        "/API/2.0/mlflow/runs/get",
    ],
)
def test_no_other_spelling_of_a_path_bypasses_the_check(path: str, alpha: Target, mlflow: Mlflow) -> None:
    answer = httpx.get(
        f"{mlflow.url}{path}", params={"run_id": alpha.run}, headers={"Authorization": basic("beta", "beta-password")}
    )

    assert answer.status_code in (401, 403, 404, 308)
    assert alpha.run not in answer.text


@pytest.mark.parametrize(
    "spelling", ["%2531", "%31", "./{experiment}", "x/../{experiment}", "workspaces/default/{experiment}"]
)
def test_no_other_spelling_of_an_artifact_path_bypasses_the_check(
    spelling: str, alpha: Target, mlflow: Mlflow, beta: httpx.Client
) -> None:
    rest = alpha.artifact.split("/", 1)[1]
    path = spelling.format(experiment=alpha.experiment)

    answer = beta.get(f"{mlflow.url}/api/2.0/mlflow-artifacts/artifacts/{path}/{rest}")

    assert answer.status_code in (400, 403, 404)


class TestPeople:
    @without_workspaces
    def test_see_what_their_team_owns(self, alpha: Target, mlflow: Mlflow) -> None:
        path, query = "/api/2.0/mlflow/runs/get", {"run_id": alpha.run}

        assert mlflow.person("people-of-alpha").get(path, params=query).status_code == 200
        assert mlflow.person("people-of-beta").get(path, params=query).status_code == 403
        assert mlflow.person("people-of-beta", "people-of-alpha").get(path, params=query).status_code == 200
        assert mlflow.person(ADMINS).get(path, params=query).status_code == 200

    def test_of_no_known_group_get_nowhere(self, mlflow: Mlflow) -> None:
        answer = mlflow.person("people-of-nobody").get("/")

        assert (answer.status_code, answer.text) == (
            403,
            "kim@example.com: none of your groups belongs to a team of this platform.",
        )

    def test_only_administrators_see_users(self, mlflow: Mlflow) -> None:
        assert mlflow.person(ADMINS).get("/api/2.0/mlflow/users/list").status_code == 200
        assert mlflow.person("people-of-alpha").get("/api/2.0/mlflow/users/list").status_code == 403

    @without_workspaces
    def test_of_two_teams_make_things_for_the_first_and_both_teams_keep_their_own(self, mlflow: Mlflow) -> None:
        both = mlflow.person("people-of-beta", "people-of-alpha")

        made = both.post("/api/2.0/mlflow/experiments/create", json={"name": "made-by-kim"}).json()["experiment_id"]

        query = {"experiment_id": made}
        assert mlflow.machine("alpha").get("/api/2.0/mlflow/experiments/get", params=query).status_code == 200
        assert mlflow.machine("beta").get("/api/2.0/mlflow/experiments/get", params=query).status_code == 403
        assert both.get("/api/2.0/mlflow/experiments/get", params=query).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Auth-Request-Groups": ADMINS},
            {"X-Auth-Request-Groups": ADMINS, "Authorization": basic("kim@example.com", "guessed")},
            {"X-Auth-Request-Groups": ADMINS, "Authorization": "Bearer " + EDGE_PASSWORD},
            {"X-Auth-Request-Groups": ADMINS, "Authorization": basic("kim@example.com", sha256(EDGE_PASSWORD))},
        ],
        ids=["no proof", "a guessed proof", "another scheme", "the hash instead"],
    )
    def test_are_believed_only_from_the_login_proxy(self, headers: dict[str, str], mlflow: Mlflow) -> None:
        assert httpx.get(f"{mlflow.url}/api/2.0/mlflow/users/current", headers=headers).status_code == 401

    def test_a_machine_gains_nothing_by_a_groups_header(self, mlflow: Mlflow) -> None:
        client = mlflow.machine("beta")

        assert client.get("/api/2.0/mlflow/users/list", headers={"X-Auth-Request-Groups": ADMINS}).status_code == 403

    @pytest.mark.parametrize("name", ["X_Auth_Request_Groups", "X-Auth_Request-Groups", "X-Auth-Request-Groups"])
    def test_gain_nothing_by_a_second_groups_header(self, name: str, mlflow: Mlflow) -> None:
        headers = [
            ("Authorization", basic("kim@example.com", EDGE_PASSWORD)),
            ("X-Auth-Request-Groups", "people-of-alpha"),
            (name, ADMINS),
        ]

        answer = httpx.get(f"{mlflow.url}/api/2.0/mlflow/users/list", headers=headers)

        assert answer.status_code == 400


def test_a_changed_access_file_is_read_without_a_restart(mlflow: Mlflow, mlflow_pod: Pod) -> None:
    file = mlflow_pod.volume("access") / "access.json"
    before = file.read_text()
    access = json.loads(before)
    try:
        access["teams"]["beta"] = [sha256("new-password")]
        _replace(file, json.dumps(access))

        assert mlflow.machine("beta", "beta-password").get("/version").status_code == 401
        assert mlflow.machine("beta", "new-password").get("/version").status_code == 200
    finally:
        _replace(file, before)
    assert mlflow.machine("beta").get("/version").status_code == 200


def _replace(file: Path, text: str) -> None:
    """Replace a file atomically, as the kubelet does."""
    other = file.with_name("next")
    other.write_text(text)
    other.rename(file)


def test_changes_are_logged_with_the_caller(mlflow: Mlflow, mlflow_pod: Pod) -> None:
    mlflow.person("people-of-alpha").post("/api/2.0/mlflow/experiments/create", json={"name": "logged"})

    log = (mlflow_pod.folder / "mlflow.log").read_text()
    assert (
        '{"who": "kim@example.com", "method": "POST", "path": "/api/2.0/mlflow/experiments/create", "refused": null}'
        in log
    )
    assert not any(password in log for password in ("alpha-password", EDGE_PASSWORD))
