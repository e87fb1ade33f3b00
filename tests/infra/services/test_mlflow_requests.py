"""One canonical form for every request of a listed route, without a server; `tests/security` uses a real one."""

import json
from typing import Any

import pytest

from platform_lib.infra.mlflow.in_image.mlflow_requests import Canonical, UnusualRequest, canonical
from platform_lib.infra.mlflow.in_image.mlflow_routes import find_route, messages, routes
from platform_lib.infra.mlflow.in_image.mlflow_values import STAMPS, owns_name, resembles
from platform_lib.names import VersionTag

JSON = [(b"content-type", b"application/json")]
NOT_FROM_PROTOBUF = {
    "/",
    "/version",
    "/graphql",
    "/get-artifact",
    "/model-versions/get-artifact",
    "/api/2.0/mlflow/users/current",
    "/api/3.0/mlflow/ui-telemetry",
    "/api/2.0/mlflow/experiments/search-datasets",
    "/api/2.0/mlflow/metrics/get-history-bulk",
    "/api/2.0/mlflow/upload-artifact",
    "/api/2.0/mlflow/logged-models/<model_id>/artifacts/files",
}
MORE = {("GET", "/api/2.0/mlflow/logged-models/<model_id>"): {"allow_deleted"}}
"""Parameters that a handler reads beside its message."""


def parsed(method: str, path: str, query: str = "", body: Any = None, headers: Any = JSON) -> Canonical:
    route = find_route(method, path)
    assert route is not None
    return canonical(
        route,
        raw_path=path.encode(),
        path=path,
        query=query.encode(),
        headers=headers,
        body=b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode(),
        message=messages().get((route.method, route.rule)),
    )


def test_every_route_takes_the_parameters_of_mlflows_own_message() -> None:
    """Fails after an upgrade that adds a parameter: list it, or leave it out here, after reading what it does."""
    declared = {key: {field.name for field in message.fields} for key, message in messages().items()}
    listed = {
        key: {*route.query, *route.body, *route.pattern.groupindex} - MORE.get(key, set())
        for key, route in routes().items()
        if route.rule not in NOT_FROM_PROTOBUF
    }

    for key, found in listed.items():
        left_out = {"deployment_job_id"} if "registered-models" in key[1] else set()
        assert found - {"artifact_path"} == declared[key] - left_out, key


def test_both_prefixes_are_one_route() -> None:
    assert find_route("GET", "/ajax-api/2.0/mlflow/runs/get") is find_route("GET", "/api/2.0/mlflow/runs/get")
    assert find_route("GET", "/x/ajax-api/2.0/mlflow/runs/get") is None
    assert find_route("POST", "/api/2.0/mlflow/runs/get") is None


@pytest.mark.parametrize(
    ("query", "values", "passed_on"),
    [
        ("run_id=a", {"run_id": "a", "run_uuid": "a"}, b"run_id=a&run_uuid=a"),
        ("run_uuid=a", {"run_id": "a", "run_uuid": "a"}, b"run_uuid=a&run_id=a"),
        ("run_uuid=a&run_id=a&", {"run_id": "a", "run_uuid": "a"}, b"run_uuid=a&run_id=a"),
    ],
)
def test_two_names_of_a_run_become_equal(query: str, values: dict[str, str], passed_on: bytes) -> None:
    found = parsed("GET", "/api/2.0/mlflow/runs/get", query)

    assert (dict(found.values), found.query, found.body) == (values, passed_on, b"")


def test_a_query_keeps_the_types_of_its_message() -> None:
    found = parsed(
        "GET", "/api/2.0/mlflow/experiments/search", "max_results=5&order_by=a&order_by=b+c%20d&view_type=ALL"
    )

    assert found.values == {"max_results": "5", "order_by": ["a", "b c d"], "view_type": "ALL"}
    assert found.query == b"max_results=5&order_by=a&order_by=b+c+d&view_type=ALL"


def test_a_body_is_passed_on_as_it_was_checked() -> None:
    body = {
        "run_id": "a",
        "metrics": [{"key": "m", "value": "NaN", "timestamp": "12", "step": None}],
        "params": [],
        "tags": [{"key": "k", "value": "v"}],
    }
    found = parsed("POST", "/api/2.0/mlflow/runs/log-batch", body=body)

    metric = {"key": "m", "value": "NaN", "timestamp": 12}
    assert json.loads(found.body or b"") == {**body, "metrics": [metric]}


def test_a_file_is_not_read() -> None:
    found = parsed("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a b", body=b"\xff", headers=[])

    assert (found.body, dict(found.values)) == (None, {"artifact_path": "1/a b"})


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "said"),
    [
        ("GET", "runs/get", "run_id=a&run_id=a", None, "run_id occurs twice"),
        ("GET", "runs/get", "run_id=a&run_uuid=b", None, "two different runs, a and b"),
        ("GET", "runs/get", "runId=a", None, "'runId' is not a parameter"),
        ("GET", "runs/get", "run%5Fid=a", None, "other characters"),
        ("GET", "runs/get", "run_id=%zz", None, "not percent-encoded"),
        ("GET", "runs/get", "run_id=%ff", None, "not UTF-8"),
        ("GET", "runs/get", "", {"run_id": "a"}, "takes no body"),
        ("GET", "experiments/search", "view_type=1", None, "give one of ACTIVE_ONLY, ALL, DELETED_ONLY"),
        ("GET", "experiments/search", "max_results=1e3", None, "not a value of this parameter's type"),
        ("POST", "runs/delete", "run_id=a", {"run_id": "a"}, "in the query; it takes run_id"),
        ("POST", "runs/delete", "", {"runId": "a"}, "write run_id"),
        ("POST", "runs/delete", "", {"[mlflow.run_id]": "a"}, "is not a parameter"),
        ("POST", "runs/delete", "", ["a"], "not a JSON object"),
        ("POST", "runs/delete", "", b'{"run_id": "a", "run_id": "a"}', "'run_id' occurs twice"),
        ("POST", "runs/log-batch", "", {"tags": [{"Key": "a"}]}, "'tags[0].Key' is not a parameter"),
        ("POST", "runs/log-batch", "", b'{"tags": [{"key": "a", "key": "b"}]}', "'key' occurs twice"),
        ("POST", "runs/log-batch", "", {"tags": {"key": "a"}}, "tags is {'key': 'a'}: give a list"),
        ("POST", "runs/log-batch", "", {"tags": [None]}, "tags[0] is None: give an object"),
        ("POST", "runs/log-batch", "", b'{"metrics": [{"value": 1e400}]}', "metrics[0].value is inf"),
        ("POST", "runs/log-batch", "", b'{"metrics": [{"timestamp": true}]}', "metrics[0].timestamp is True"),
        ("POST", "runs/log-batch", "", b'{"metrics": [{"timestamp": 9223372036854775808}]}', "timestamp is 922"),
        ("DELETE", "logged-models/m-1", "", {"model_id": "m-2"}, "model_id is 'm-1' in the path and 'm-2'"),
    ],
)
def test_a_request_with_two_readings_is_refused(method: str, path: str, query: str, body: Any, said: str) -> None:
    with pytest.raises(UnusualRequest) as refusal:
        parsed(method, f"/api/2.0/mlflow/{path}", query, body)

    assert said in str(refusal.value)


def test_the_tags_that_only_the_server_writes_are_those_that_commands_show() -> None:
    assert {VersionTag.PROMOTED_BY, VersionTag.PROMOTED_AT} == STAMPS


def test_names_that_look_alike_have_the_same_skeleton() -> None:
    assert {resembles(name)[0] for name in ("ModeI_1O", "model-10", "mode1.l0", "MODEL i0")} == {"m0de1-10"}
    assert resembles("model-10")[1] == "m_de____"
    assert resembles("models")[0] != resembles("model")[0]


@pytest.mark.parametrize(("name", "owned"), [("a", True), ("b-1", True), ("b", False), ("ab", False), ("", False)])
def test_a_name_is_owned_by_its_patterns(name: str, *, owned: bool) -> None:
    assert owns_name(name, ("a", "b-*")) is owned
