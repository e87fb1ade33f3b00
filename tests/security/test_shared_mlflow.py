"""The shared MLflow executes what it authorised, keeps names apart, and lets only some decide what is served.

The attacker is team beta, with its own password and objects; the victim is alpha. One real server for all.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.infra.mlflow.in_image.mlflow_routes import routes
from platform_lib.infra.team.rbac import deployer_rules, people_rules
from tests.infra.services.containers import Pod
from tests.infra.services.disguises import Disguise, as_query, disguises, parameters
from tests.infra.services.platform import ADMINS, CI_PASSWORDS, Mlflow, owned, without_workspaces
from tests.infra.services.surface import ATTEMPTS, Target

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("platform-services")]
API = "/api/2.0/mlflow"
ODD_TEXTS: tuple[Any, ...] = ("x" * 5000, "(" * 3000, "é", "e30=")
ZERO_WIDTH, CYRILLIC_A, RIGHT_TO_LEFT, FULLWIDTH_M = "\u200b", "\u0430", "\u202e", "\uff4d"


@pytest.fixture(scope="module")
def beta(mlflow: Mlflow) -> Iterator[httpx.Client]:
    with mlflow.machine("beta") as client:
        yield client


@pytest.fixture(scope="module")
def mine(beta: httpx.Client) -> Target:
    """Things of beta's own, the cover for what it tries with alpha's."""
    experiment = _post(beta, "experiments/create", name="beta-cover")["experiment_id"]
    run = _post(beta, "runs/create", experiment_id=experiment, start_time=1)["run"]["info"]
    logged = _post(beta, "logged-models", experiment_id=experiment, name="cover")["model"]["info"]["model_id"]
    _post(beta, "registered-models/create", name="beta-cover")
    _post(beta, "model-versions/create", name="beta-cover", source=f"{run['artifact_uri']}/model", run_id=run["run_id"])
    return Target(
        experiment=experiment,
        run=run["run_id"],
        logged_model=logged,
        name="beta-cover",
        version="1",
        experiment_name="beta-cover",
        artifact=f"{experiment}/x/MLmodel",
    )


def _post(client: httpx.Client, path: str, **body: Any) -> Any:
    answer = client.post(f"{API}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _delete(client: httpx.Client, path: str, **body: Any) -> httpx.Response:
    return client.request("DELETE", f"{API}/{path}", json=body)


@contextmanager
def rules(pod: Pod, **changed: Any) -> Iterator[None]:
    """The server with other rules in its access file, which it reads without a restart."""
    file = pod.volume("access") / "access.json"
    before = file.read_text()
    try:
        _replace(file, json.dumps(json.loads(before) | changed))
        yield
    finally:
        _replace(file, before)


def _replace(file: Path, text: str) -> None:
    other = file.with_name("next")
    other.write_text(text)
    other.rename(file)  # as the kubelet does


class TestWhatIsAuthorisedIsWhatIsExecuted:
    def test_a_delete_that_shows_its_own_model_and_means_anothers(
        self, alpha: Target, mine: Target, beta: httpx.Client, mlflow: Mlflow
    ) -> None:
        for path, extra in (
            ("registered-models/delete", {}),
            ("registered-models/alias", {"alias": "candidate"}),
            ("registered-models/delete-tag", {"key": "k"}),
            ("model-versions/delete", {"version": "1"}),
            ("model-versions/delete-tag", {"version": "1", "key": "mlp.model_sha256"}),
        ):
            answer = beta.request(
                "DELETE",
                f"{API}/{path}",
                params={"name": mine.name, **extra},
                content=json.dumps({"name": alpha.name, **extra}),
                headers={"Content-Type": "text/plain"},
            )
            assert answer.status_code == 400, (path, answer.text)

        assert mlflow.machine("alpha").get(f"{API}/registered-models/get", params={"name": alpha.name}).is_success

    def test_no_disguise_of_any_request_reaches_what_is_anothers(
        self, alpha: Target, mine: Target, beta: httpx.Client, mlflow: Mlflow
    ) -> None:
        before = owned(alpha, mlflow)
        tried = list(disguises(alpha, mine))
        assert len(tried) > 1000

        with mlflow.machine("beta", workspace="alpha") as attacker:
            wrong = [
                f"{one.name}: {one.method} {one.url} → {answer.status_code} {answer.text[:200]}"
                for one, answer in ((one, one.send(attacker)) for one in tried)
                if not _is_refused(one, answer, alpha)
            ]

        assert not wrong, f"{len(wrong)} of {len(tried)}:\n" + "\n".join(wrong[:20])
        assert owned(alpha, mlflow) == before

    @pytest.mark.parametrize(
        "body",
        [
            '{"name": "beta-cover", "Name": "x"}',
            '{"name": "beta-cover", "owner": "alpha"}',
            '{"name": ["beta-cover"]}',
            '{"name": {"name": "beta-cover"}}',
            '{"name": 1}',
            '{"name": NaN}',
            '{"name": "beta-cover\\u0000"}',
            '{"name": "beta-cover", "description": "\\ud800"}',
            '{"name": ' + "9" * 5000 + "}",
            "[" * 100_000,
            '{"name": "beta-cover"',
            "null",
            '"beta-cover"',
        ],
        ids=lambda text: text[:40],
    )
    def test_a_body_that_is_not_exactly_the_routes_is_refused_in_one_sentence(
        self, body: str, beta: httpx.Client
    ) -> None:
        answer = beta.patch(
            f"{API}/registered-models/update", content=body, headers={"Content-Type": "application/json"}
        )

        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert answer.json()["message"].endswith(".") and len(answer.json()["message"]) < 500

    def test_a_body_beyond_the_limit_is_refused_while_it_is_read(self, beta: httpx.Client) -> None:
        answer = beta.post(f"{API}/runs/log-batch", content=b"x" * (9 * 2**20))

        assert answer.status_code == 400

    @pytest.mark.parametrize(
        "target",
        [
            "/api/2.0/mlflow/registered-models/ge%74?name={name}",
            "/api/2.0/mlflow/registered-models/get?n%61me={name}",
            "/api/2.0/mlflow/registered-models/get?name={name}&name=beta-cover",
            "/api/2.0/mlflow/registered-models/get?name={name}%20",
            "/api/2.0/mlflow/registered-models/get?name={name}%E2%80%8B",
            "/api/2.0/mlflow/registered-models/get?name=%ff{name}",
            "/api/2.0/mlflow/registered-models/get?name={name};name=beta-cover",
            "/api/2.0/mlflow/runs/get?runId={run}",
            "/api/2.0/mlflow/runs/get?run_id={run}&run_uuid=x",
            "/api/2.0/mlflow/logged-models/%6d{logged_model}",
            "/api/2.0/mlflow/experiments/get?experiment_id=0{experiment}",
            "/api/2.0/mlflow/experiments/get?experiment_id=%20{experiment}",
            "/api/2.0/mlflow/experiments/get?experiment_id=%D9%A1",
            "/api/2.0/mlflow-artifacts/artifacts?path={experiment}/../{experiment}",
            "/api/2.0/mlflow-artifacts/artifacts/{experiment}/%2e%2e/x",
            "/api/2.0/mlflow-artifacts/artifacts/{experiment}%2Fmodels",
            "/api/2.0/mlflow-artifacts/artifacts//{experiment}/models",
            "/get-artifact?run_id={run}&path=%252e%252e/x",
        ],
    )
    def test_a_parameter_has_one_spelling(self, target: str, alpha: Target, mlflow: Mlflow) -> None:
        raw = target.format(**{name: getattr(alpha, name) for name in Target.__dataclass_fields__})
        with mlflow.machine("alpha") as owner:
            url = owner.base_url.copy_with(raw_path=raw.encode())
            answer = owner.get(url)

        assert answer.status_code == 400, answer.text

    @pytest.mark.parametrize(
        "source",
        [
            "models:/x/1/../..",
            "models:/../x/1",
            "models:/{name}/1/",
            "models:/{name}/01",
            "models:/{name}@champion",
            "models:/{name}\u200b/1",
            "models:/%6d-x",
            "models:/m-x/../../y",
            "runs:/{run}/../x",
            "mlflow-artifacts:/{experiment}/./x",
            "mlflow-artifacts:/{experiment}/x#y",
            "s3://bucket/a b",
        ],
    )
    def test_a_source_that_climbs_is_refused_and_no_server_error(
        self, source: str, alpha: Target, mine: Target, beta: httpx.Client
    ) -> None:
        text = source.format(name=alpha.name, run=alpha.run, experiment=alpha.experiment)
        answer = beta.post(f"{API}/model-versions/create", json={"name": mine.name, "source": text})

        assert answer.status_code == 400, answer.text

    @pytest.mark.parametrize(
        "query",
        [
            "{" * 2000 + "x" + "}" * 2000,
            "{mlflowGetRun" + "{run" * 500 + "}" * 500 + "}",
            '{mlflowGetRun(input:{runId:"x",a:' + "[" * 3000 + "]" * 3000 + "}){run{info{runId}}}}",
            "{...a}" + "".join(f" fragment f{n} on Query{{...f{n + 1}}}" for n in range(400)),
            '"}' * 3000 + "{" * 2000,
            "# }\n" * 500 + "{" * 2000,
            "x" * 30_000,
            "{ a",
            "",
        ],
        ids=["braces", "fields", "lists", "fragments", "texts", "comments", "long", "unfinished", "empty"],
    )
    def test_a_deep_graphql_query_is_refused_and_no_server_error(self, query: str, beta: httpx.Client) -> None:
        answer = beta.post("/graphql", json={"query": query})

        assert answer.status_code == 400, answer.text

    def test_no_odd_value_of_any_parameter_is_a_server_error(self, mine: Target, beta: httpx.Client) -> None:
        wrong, tried = [], 0
        for attempt in ATTEMPTS:
            route = routes()[attempt.method, attempt.rule.replace("/ajax-api/", "/api/", 1)]
            given, url = parameters(attempt, mine), attempt.url(mine)
            for name in {**route.query, **route.body}:
                for odd in ODD_TEXTS if name in route.query else (*ODD_TEXTS, [[]]):
                    if name in route.query:
                        answer = beta.request(
                            attempt.method, f"{url}?{as_query({**given, name: odd})}", content=attempt.content
                        )
                    else:
                        answer = beta.request(attempt.method, url, json={**given, name: odd})
                    tried += 1
                    # 501: a volume takes no multipart uploads.
                    if answer.status_code >= 500 and answer.status_code != 501:
                        wrong.append(f"{attempt.method} {attempt.rule} {name}={odd!r:.40}: {answer.text[:100]}")

        assert tried > 500
        assert not wrong, "\n".join(wrong)

    def test_what_clients_and_pages_send_still_works(self, alpha: Target, mlflow: Mlflow) -> None:
        with mlflow.machine("alpha") as owner:
            both = owner.get(f"{API}/runs/get", params={"run_id": alpha.run, "run_uuid": alpha.run})
            null = owner.post(
                "/ajax-api/2.0/mlflow/runs/search",
                json={"experiment_ids": [alpha.experiment], "page_token": None, "run_view_type": "ALL"},
            )
            metric = owner.post(
                f"{API}/runs/log-metric",
                json={"run_id": alpha.run, "run_uuid": alpha.run, "key": "m", "value": "NaN", "timestamp": "1"},
            )
            history = owner.get(
                "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
                params=[("run_id", alpha.run), ("metric_key", "m"), ("max_results", "5")],
            )
            upload = owner.post(
                "/ajax-api/2.0/mlflow/upload-artifact",
                params={"run_uuid": alpha.run, "path": "notes/Übersicht 1.txt"},
                content=b'{"run_id": "x"}',
                headers={"Content-Type": "application/json"},
            )
            read = owner.get("/get-artifact", params={"run_uuid": alpha.run, "path": "notes/Übersicht 1.txt"})
            page = owner.get("/?anything=1#/experiments")

        answers = [both, null, metric, history, upload, read, page]
        assert [answer.status_code for answer in answers] == [200] * 7, [answer.text[:300] for answer in answers]
        assert read.content == b'{"run_id": "x"}'


def _is_refused(disguise: Disguise, answer: httpx.Response, alpha: Target) -> bool:
    if disguise.is_plain and disguise.attempt.lists:
        return answer.status_code == 200 and not any(name in answer.text for name in alpha.names())
    if disguise.is_plain and answer.status_code == 400:
        return "RESOURCE_ALREADY_EXISTS" in answer.text
    return 400 <= answer.status_code < 500


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "sample-model ",
            " sample-model",
            "sample-model\t",
            f"sample-model{ZERO_WIDTH}",
            f"s{CYRILLIC_A}mple-model",
            f"sample-{FULLWIDTH_M}odel",
            f"{RIGHT_TO_LEFT}sample-model",
            "sample\u00admodel",
            "sample-model\u0301",
            "sample-model\\",
            "sample-model%20",
            "sample/model",
            "-sample-model",
            "",
            "x" * 101,
        ],
        ids=ascii,
    )
    def test_that_look_like_anothers_cannot_be_registered(self, name: str, beta: httpx.Client, mine: Target) -> None:
        created = beta.post(f"{API}/registered-models/create", json={"name": name})
        renamed = beta.post(f"{API}/registered-models/rename", json={"name": mine.name, "new_name": name})

        assert (created.status_code, renamed.status_code) == (400, 400), created.text

    @without_workspaces
    @pytest.mark.parametrize("name", ["Sample-Model", "sample_model", "sample.model", "samp1e-m0del"])
    def test_that_differ_in_what_nobody_sees_are_taken(
        self, name: str, alpha: Target, beta: httpx.Client, mine: Target
    ) -> None:
        created = beta.post(f"{API}/registered-models/create", json={"name": name})
        renamed = beta.post(f"{API}/registered-models/rename", json={"name": mine.name, "new_name": name})
        experiment = beta.post(f"{API}/experiments/create", json={"name": name})

        assert (created.status_code, renamed.status_code, experiment.status_code) == (403, 403, 403), created.text
        assert created.text == (
            f"{name!r} looks like 'sample-model', which exists: choose a name that nobody can mistake for it."
        )

    @without_workspaces
    def test_are_a_teams_by_first_registration(self, mlflow: Mlflow, beta: httpx.Client) -> None:
        _post(mlflow.machine("alpha"), "registered-models/create", name="first-come")

        assert beta.post(f"{API}/registered-models/create", json={"name": "first-come"}).status_code == 400

    def test_are_a_teams_by_its_patterns_where_the_setting_says_so(
        self, mlflow: Mlflow, beta: httpx.Client, mlflow_pod: Pod
    ) -> None:
        with rules(mlflow_pod, name_patterns={"alpha": ["alpha", "alpha-*"], "beta": ["beta-*"]}):
            theirs = beta.post(f"{API}/registered-models/create", json={"name": "alpha-next"})
            experiment = beta.post(f"{API}/experiments/create", json={"name": "alpha"})
            own = beta.post(f"{API}/registered-models/create", json={"name": "beta-next"})

        assert (theirs.status_code, experiment.status_code, own.status_code) == (403, 403, 200)
        assert theirs.text == "'alpha-next' is not a name of your team: this platform gives it beta-*."


@without_workspaces
class TestWhoDecidesWhatIsServed:
    """`champion_roles` of the stack's settings; by default everybody of the team."""

    @pytest.fixture(autouse=True)
    def _a_champion(self, alpha: Target, mlflow: Mlflow) -> None:
        with mlflow.machine("alpha") as client:
            for alias in ("champion", "previous"):
                _post(client, "registered-models/alias", name=alpha.name, alias=alias, version=alpha.version)

    @pytest.mark.parametrize(
        ("roles", "able"),
        [
            (["ci", "machines", "members"], {"machine", "CI", "member", "lead", "admin"}),
            (["ci"], {"CI", "admin"}),
            (["machines"], {"machine", "admin"}),
            (["leads"], {"lead", "admin"}),
            ([], {"admin"}),
        ],
        ids=["default", "ci", "machines", "a group", "nobody"],
    )
    def test_only_the_roles_of_the_setting_move_the_champion(
        self, roles: list[str], able: set[str], alpha: Target, mlflow: Mlflow, mlflow_pod: Pod
    ) -> None:
        moves: list[tuple[str, str, Mapping[str, str]]] = [
            ("POST", "registered-models/alias", {"alias": "champion", "version": "1"}),
            ("POST", "registered-models/alias", {"alias": "previous", "version": "1"}),
            ("DELETE", "registered-models/alias", {"alias": "previous"}),
            ("POST", "registered-models/alias", {"alias": "canary", "version": "1"}),
        ]
        with rules(mlflow_pod, champion_roles=roles):
            for who, client in self._callers(mlflow).items():
                statuses = [
                    client.request(method, f"{API}/{path}", json={"name": alpha.name, **body}).status_code
                    for method, path, body in moves
                ]
                ends_canary = _delete(client, "registered-models/alias", name=alpha.name, alias="canary").status_code
                assert (statuses, ends_canary) == ([200 if who in able else 403] * 4, 200), who

    def test_nobody_else_changes_the_champion_by_another_way(
        self, alpha: Target, mlflow: Mlflow, mlflow_pod: Pod
    ) -> None:
        version = {"name": alpha.name, "version": alpha.version}
        ways: list[tuple[str, str, Mapping[str, str]]] = [
            ("DELETE", "registered-models/alias", {"name": alpha.name, "alias": "champion"}),
            ("DELETE", "registered-models/delete", {"name": alpha.name}),
            ("POST", "registered-models/rename", {"name": alpha.name, "new_name": "other"}),
            ("DELETE", "model-versions/delete", version),
            ("POST", "model-versions/set-tag", {**version, "key": "mlp.model_sha256", "value": "0"}),
            ("DELETE", "model-versions/delete-tag", {**version, "key": "mlp.model_sha256"}),
        ]
        before = owned(alpha, mlflow)
        with rules(mlflow_pod, champion_roles=["ci"]), mlflow.machine("alpha") as client:
            answers = [client.request(method, f"{API}/{path}", json=body) for method, path, body in ways]
            other = _post(client, "registered-models/set-tag", name=alpha.name, key="note", value="still possible")

        assert [answer.status_code for answer in answers] == [403] * 6
        assert answers[0].text == (
            "machine of alpha may not move the alias champion of sample-model: "
            "this platform lets ci do it (setting champion_roles)."
        )
        assert other == {}
        _delete(mlflow.machine("alpha"), "registered-models/delete-tag", name=alpha.name, key="note")
        assert _without_stamps(owned(alpha, mlflow)) == _without_stamps(before)

    def test_who_moved_it_and_when_is_kept(self, alpha: Target, mlflow: Mlflow) -> None:
        for client, name in (
            (mlflow.ci("alpha"), "CI of alpha"),
            (mlflow.person("people-of-alpha"), "kim@example.com"),
            (mlflow.machine("alpha"), "machine of alpha"),
        ):
            _post(client, "registered-models/alias", name=alpha.name, alias="champion", version="1")
            tags = self._tags(alpha, mlflow)
            assert tags["mlp.promoted_by"] == name
            assert tags["mlp.promoted_at"].endswith("+00:00")

    @pytest.mark.parametrize("key", ["mlp.promoted_by", "mlp.promoted_at"])
    def test_nobody_writes_that_himself(self, key: str, alpha: Target, mlflow: Mlflow) -> None:
        before, version = self._tags(alpha, mlflow), {"name": alpha.name, "version": alpha.version}
        tag = {"key": key, "value": "somebody@example.com"}
        for client in (mlflow.machine("alpha"), mlflow.person(ADMINS)):
            answers = [
                client.post(f"{API}/model-versions/set-tag", json={**version, **tag}),
                client.post(f"{API}/registered-models/set-tag", json={"name": alpha.name, **tag}),
                _delete(client, "model-versions/delete-tag", **version, key=key),
                client.post(f"{API}/registered-models/create", json={"name": "new", "tags": [tag]}),
            ]
            assert [answer.status_code for answer in answers] == [400] * 4
        assert self._tags(alpha, mlflow) == before

    def test_a_copy_of_the_champion_was_promoted_by_nobody(self, alpha: Target, mlflow: Mlflow) -> None:
        stamps = [{"key": key, "value": "x"} for key in ("mlp.promoted_by", "mlp.promoted_at")]
        with mlflow.machine("alpha") as client:
            _post(client, "registered-models/create", name="copied")
            made = _post(
                client,
                "model-versions/create",
                name="copied",
                source=f"models:/{alpha.name}/1",
                tags=[*stamps, {"key": "kept", "value": "yes"}],
            )
        assert made["model_version"]["tags"] == [{"key": "kept", "value": "yes"}]

    def _tags(self, alpha: Target, mlflow: Mlflow) -> dict[str, str]:
        found = mlflow.machine("alpha").get(
            f"{API}/model-versions/get", params={"name": alpha.name, "version": alpha.version}
        )
        return {tag["key"]: tag["value"] for tag in found.json()["model_version"]["tags"]}

    def _callers(self, mlflow: Mlflow) -> dict[str, httpx.Client]:
        return {
            "machine": mlflow.machine("alpha"),
            "CI": mlflow.ci("alpha"),
            "member": mlflow.person("people-of-alpha"),
            "lead": mlflow.person("people-of-alpha", "leads"),
            "admin": mlflow.person(ADMINS),
        }

    def test_only_the_ci_may_read_its_password(self) -> None:
        may = [
            any("mlflow-ci-credentials" in rule.get("resourceNames", ()) for rule in rules_of())
            or any("secrets" in rule["resources"] and "resourceNames" not in rule for rule in rules_of())
            for rules_of in (deployer_rules, people_rules)
        ]
        assert may == [True, False]

    def test_the_password_of_a_teams_ci_opens_no_other_team(self, alpha: Target, mlflow: Mlflow) -> None:
        assert CI_PASSWORDS["beta"] != CI_PASSWORDS["alpha"]
        query = {"run_id": alpha.run}
        assert mlflow.ci("alpha").get(f"{API}/runs/get", params=query).status_code == 200
        assert mlflow.ci("beta").get(f"{API}/runs/get", params=query).status_code == 403
        assert mlflow.machine("alpha", CI_PASSWORDS["beta"]).get("/version").status_code == 401


def _without_stamps(found: Any) -> Any:
    """What alpha owns, without times of change."""
    return json.loads(
        json.dumps(found), object_hook=lambda item: {k: v for k, v in item.items() if "timestamp" not in k}
    )
