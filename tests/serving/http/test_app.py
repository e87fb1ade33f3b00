"""The application over one model, in this process: responses, IDs, health and invalid requests."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from starlette.testclient import TestClient

from platform_lib.serving.http.app import create_app
from platform_lib.serving.limits import Limits
from tests.serving.sample_models import REGRESSION, FixedSource, StubPipeline, fitted, frame_of, loaded, rows

JSON = {"Content-Type": "application/json"}


def client(model: Any, limits: Limits | None = None) -> TestClient:
    return TestClient(create_app(FixedSource(model), limits), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return fitted()


@pytest.fixture(scope="module")
def server(pipeline: Pipeline) -> Iterator[TestClient]:
    with client(loaded(pipeline, version="7"), Limits(max_body_bytes=20_000, max_rows=20)) as http:
        yield http


@pytest.fixture(scope="module")
def empty() -> TestClient:
    return client(None)


def test_the_address_alone_leads_a_browser_to_the_documentation(empty: TestClient) -> None:
    page = empty.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (307, "docs")  # relative: a proxy may strip a prefix
    assert "GET /docs lists all paths" in empty.get("/").json()["detail"]


def test_classification_returns_classes_with_their_probabilities(server: TestClient, pipeline: Pipeline) -> None:
    some = rows(3, seed=5)
    answer = server.post("/predict", json={"rows": some}, headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == 200
    assert list(answer.json()) == ["request_id", "model", "predictions", "probabilities"]
    assert answer.json()["request_id"] == "mine-1"
    assert answer.json()["model"] == {"name": "people", "version": "7"}
    assert answer.json()["predictions"] == pipeline.predict(frame_of(some, loaded(pipeline).contract)).tolist()
    assert [list(row) for row in answer.json()["probabilities"]] == [["maybe", "no", "yes"]] * 3
    assert [list(row.values()) for row in answer.json()["probabilities"]] == pipeline.predict_proba(
        frame_of(some, loaded(pipeline).contract)
    ).tolist()


def test_regression_returns_numbers_without_probabilities() -> None:
    pipeline = fitted(REGRESSION)
    some = rows(4, seed=5)
    answer = client(loaded(pipeline, REGRESSION)).post("/predict", json={"rows": some}).json()
    assert answer["predictions"] == pipeline.predict(frame_of(some, REGRESSION)).tolist()
    assert "probabilities" not in answer


@pytest.mark.parametrize(
    "given",
    ["", "with space", "ünï", "-begins-with-a-dash", "a" * 129, "x\ty"],
    ids=["empty", "space", "letters", "dash", "long", "tab"],
)
def test_an_invalid_request_id_is_replaced(given: str, server: TestClient) -> None:
    answer = server.get("/healthz", headers={"X-Request-ID": given.encode()})
    assert answer.headers["X-Request-ID"].isalnum()
    assert len(answer.headers["X-Request-ID"]) == 32


def test_a_valid_request_id_is_returned_with_errors_too(server: TestClient) -> None:
    answer = server.get("/nothing", headers={"X-Request-ID": "trace:1.b_2-c"})
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == "trace:1.b_2-c"


def with_row(**changes: Any) -> bytes:
    return json.dumps({"rows": [rows(1)[0], {**rows(2)[1], **changes}]}).encode()


def without(name: str) -> bytes:
    return json.dumps({"rows": [{key: value for key, value in rows(1)[0].items() if key != name}]}).encode()


WRONG: dict[str, tuple[bytes, int, str]] = {
    "text in a number": (with_row(income="12"), 422, "row 1: column 'income' is '12', expected a finite number."),
    "fraction in an integer": (with_row(age=1.5), 422, "row 1: column 'age' is 1.5, expected a whole number."),
    "boolean in a number": (with_row(score=True), 422, "row 1: column 'score' is True, expected a finite number."),
    "number in a boolean": (with_row(vip=1), 422, "row 1: column 'vip' is 1, expected true or false."),
    "number in a text": (with_row(town=3), 422, "row 1: column 'town' is 3, expected a text."),
    "no date": (
        with_row(joined="yesterday"),
        422,
        "row 1: column 'joined' is 'yesterday', expected an ISO 8601 date or time as text.",
    ),
    "null where never missing": (with_row(score=None), 422, "row 1: column 'score' is null, expected a finite number;"),
    "nested": (with_row(town={"a": 1}), 422, "row 1: column 'town' is {'a': 1}, expected a text."),
    "list": (with_row(income=[1]), 422, "row 1: column 'income' is [1], expected a finite number."),
    "missing column": (without("income"), 422, "row 0: column 'income' is missing;"),
    "unknown column": (with_row(incme=1), 422, "row 1: unknown column 'incme';"),
    "huge integer": (with_row(income=10**400), 422, "row 1: column 'income' is 1000"),
    "NaN": (with_row(score=float("nan")), 422, "row 1: column 'score' is null, expected a finite number;"),
    "Infinity": (with_row(score=float("inf")), 422, "row 1: column 'score' is inf, expected a finite number."),
    "no rows": (b'{"rows": []}', 422, "the body holds no rows, expected at least one row."),
    "rows of another type": (b'{"rows": {"age": 1}}', 400, "the body does not have the form"),
    "a row of another type": (b'{"rows": [1]}', 400, "the body does not have the form"),
    "another key": (b'{"row": []}', 400, "the body does not have the form"),
    "an extra key": (b'{"rows": [], "version": 7}', 400, "the body does not have the form"),
    "a list": (b"[]", 400, "the body does not have the form"),
    "nothing": (b"", 400, "the body is not JSON:"),
    "broken": (b'{"rows": [', 400, "the body is not JSON:"),
    "not UTF-8": (b'{"rows": [{"town": "\xff"}]}', 400, "the body is not JSON:"),
    "deep": (b'{"rows": ' + b"[" * 9000 + b"]" * 9000 + b"}", 400, "the body "),
    "too many rows": (
        json.dumps({"rows": [{}] * 21}).encode(),
        422,
        "the body holds 21 rows, but the maximum per request is 20 rows.",
    ),
    "too large": (b'{"rows": [' + b" " * 20_000 + b"]}", 413, "the body is larger than 20000 bytes."),
}


@pytest.mark.parametrize(("body", "status", "detail"), WRONG.values(), ids=WRONG)
def test_an_invalid_body_is_a_problem_that_says_where(
    body: bytes, status: int, detail: str, server: TestClient
) -> None:
    answer = server.post("/predict", content=body, headers=JSON)
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert problem["detail"].startswith(detail)
    assert set(problem) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text


def test_an_oversized_body_without_a_declared_length_is_cut_off(server: TestClient) -> None:
    answer = server.post("/predict", content=(b" " * 1000 for _ in range(1000)), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_a_body_that_is_not_declared_as_json_is_415(kind: str | None, server: TestClient) -> None:
    answer = server.post("/predict", content=with_row(), headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 415
    assert "expected the header Content-Type: application/json" in answer.json()["detail"]


def test_out_of_range_values_and_unknown_categories_get_predictions(server: TestClient) -> None:
    answer = server.post("/predict", content=with_row(age=-5000, town="Atlantis", joined="0001-01-01"), headers=JSON)
    assert answer.status_code == 200


def test_target_and_id_may_be_sent_and_change_nothing(server: TestClient) -> None:
    bare = server.post("/predict", content=with_row(), headers=JSON).json()
    full = server.post("/predict", content=with_row(churned="yes", key="k1"), headers=JSON).json()
    assert full["predictions"] == bare["predictions"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("GET", "/nothing", 404), ("POST", "/model", 405)]
)
def test_unknown_paths_and_methods_are_problems(method: str, path: str, status: int, server: TestClient) -> None:
    answer = server.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_without_a_model_it_is_alive_but_not_ready_and_says_why(empty: TestClient) -> None:
    assert empty.get("/healthz").status_code == 200
    for answer in (empty.get("/readyz"), empty.post("/predict", content=with_row(), headers=JSON)):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "2"
        assert answer.json()["detail"] == "people@champion is not served yet: nothing was promoted yet."
    assert empty.get("/model").json()["version"] is None
    assert empty.get("/model").json()["waiting_for"] == "nothing was promoted yet."


def test_a_pod_without_a_model_is_ready_only_if_nothing_was_ever_promoted(
    server: TestClient, empty: TestClient
) -> None:
    assert server.get("/readyz/pod").json() == {"status": "ready"}
    assert empty.get("/readyz/pod").status_code == 503


def test_with_a_model_it_is_ready_and_describes_the_model(server: TestClient) -> None:
    assert server.get("/readyz").json() == {"status": "ready", "model": {"name": "people", "version": "7"}}
    model = server.get("/model").json()
    assert (model["name"], model["version"], model["alias"], model["task"]) == (
        "people",
        "7",
        "champion",
        "classification",
    )
    assert model["since"] == "2026-01-02T00:00:00+00:00"
    assert model["columns"] == ["age", "income", "vip", "town", "joined", "score", "secret"]
    assert model["tags"] == {"mlp.dirty": "false"}
    assert model["refused"] == []


def test_the_documented_example_gets_a_prediction(server: TestClient) -> None:
    example = server.get("/model").json()["example"]
    assert server.post("/predict", json={"rows": [example]}).status_code == 200


def test_the_openapi_description_is_served(server: TestClient) -> None:
    assert server.get("/docs").status_code == 200
    paths = set(server.get("/openapi.json").json()["paths"])
    assert paths >= {"/healthz", "/readyz", "/model", "/predict", "/labels", "/invocations", "/v2/models/{name}/infer"}


def raising(_frame: Any) -> Any:
    raise RuntimeError("secret of /home/somebody/model.py")


@pytest.mark.parametrize(
    "predict",
    [raising, lambda frame: np.full(len(frame), np.nan), lambda frame: np.full(len(frame), np.inf)],
    ids=["raises", "nan", "inf"],
)
def test_a_failing_model_is_a_500_without_internal_details(predict: Any) -> None:
    answer = client(loaded(StubPipeline(predict), REGRESSION)).post("/predict", json={"rows": rows(2)})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "people version 1" in answer.json()["detail"]
    assert "secret" not in answer.text
    assert "nan" not in answer.text.lower()


def test_a_server_bug_is_a_500_without_internal_details() -> None:
    class Faulty(FixedSource):
        @property
        def current(self) -> Any:
            raise RuntimeError("secret")

    answer = TestClient(create_app(Faulty(None)), raise_server_exceptions=False).post(
        "/predict", json={"rows": [{}]}, headers={"X-Request-ID": "bug-1"}
    )
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"] == "bug-1"


def test_a_long_prediction_does_not_block_the_server() -> None:
    asked, may_end = threading.Event(), threading.Event()

    def slow(frame: Any) -> Any:
        asked.set()
        assert may_end.wait(30)
        return np.zeros(len(frame))

    with client(loaded(StubPipeline(slow), REGRESSION)) as http:
        answers: list[int] = []
        thread = threading.Thread(
            target=lambda: answers.append(http.post("/predict", json={"rows": rows(1)}).status_code)
        )
        thread.start()
        assert asked.wait(30)
        assert http.get("/healthz").status_code == 200
        assert answers == []
        may_end.set()
        thread.join(30)
    assert answers == [200]


def test_one_response_never_mixes_two_versions() -> None:
    started, may_end = threading.Event(), threading.Event()

    def waits(frame: Any) -> Any:
        started.set()
        assert may_end.wait(30)
        return np.zeros(len(frame))

    source = FixedSource(loaded(StubPipeline(waits), REGRESSION, "1"))
    later = FixedSource(loaded(StubPipeline(lambda frame: np.ones(len(frame))), REGRESSION, "2"))
    with TestClient(create_app(source)) as http:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(http.post("/predict", json={"rows": rows(1)}).json()))
        thread.start()
        assert started.wait(30)
        source.state.current = later.current
        assert http.post("/predict", json={"rows": rows(1)}).json()["model"]["version"] == "2"
        may_end.set()
        thread.join(30)
    assert (answers[0]["model"]["version"], answers[0]["predictions"]) == ("1", [0.0])
