"""The OpenAPI description: the served model's columns, valid examples, and a self-contained page."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from platform_lib.data.contract import Column, DataContract
from platform_lib.serving.auth.access import Access
from platform_lib.serving.auth.api_keys import KeyRing, new_key
from platform_lib.serving.http.app import create_app
from platform_lib.serving.protocols.schemas import column_schema
from tests.serving.live import live
from tests.serving.sample_models import CLASSIFICATION, REGRESSION, FixedSource, fitted, loaded


@pytest.fixture(scope="module")
def source() -> FixedSource:
    return FixedSource(loaded(fitted(), version="7"))


@pytest.fixture(scope="module")
def server(source: FixedSource) -> Iterator[httpx.Client]:
    with live(create_app(source)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def keyed(source: FixedSource, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client with a key, of a server that needs one."""
    keys = tmp_path_factory.mktemp("keys") / "keys.yaml"
    headers = {"X-API-Key": new_key(keys, "checkout", ["predict"])}
    with (
        live(create_app(source, access=Access(KeyRing(keys)))) as url,
        httpx.Client(base_url=url, timeout=60, headers=headers) as client,
    ):
        yield client


def schemas(server: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/openapi.json").json()["components"]["schemas"]
    return found


def test_a_row_is_described_with_its_columns_types_nullability_and_known_values(keyed: httpx.Client) -> None:
    row = schemas(keyed)["Row"]
    assert row["required"] == list(CLASSIFICATION.features)
    assert row["additionalProperties"] is False
    assert row["properties"]["age"] == {
        "type": ["integer", "null"],
        "minimum": -(2**63 - 1),
        "maximum": 2**63 - 1,
        "description": "May be null. Seen in training: 18 to 90.",
    }
    assert row["properties"]["town"] == {
        "type": ["string", "null"],
        "description": "May be null. Known values: Bern, Genf, Zug.",
        "x-known-values": ["Bern", "Genf", "Zug"],
    }
    assert row["properties"]["secret"] == {"type": "string"}
    assert row["properties"]["joined"]["format"] == "date-time"
    assert row["properties"]["churned"] == {"description": "Not a feature; accepted and ignored."}


def test_without_a_key_only_names_and_types_are_described(server: httpx.Client, keyed: httpx.Client) -> None:
    stranger = httpx.get(f"{keyed.base_url}/openapi.json", headers={"X-API-Key": "unknown"})
    # A server without keys is not its user's alone: any page in a browser may ask it.
    for text in (server.get("/openapi.json").text, server.get("/model").text, stranger.text):
        assert not [word for word in ("Bern", "Genf", "maybe", "known-values", "Seen in training") if word in text]
    row = stranger.json()["components"]["schemas"]["Row"]
    assert row["properties"]["town"] == {"type": ["string", "null"], "description": "May be null."}
    assert row["required"] == list(CLASSIFICATION.features)
    assert stranger.headers["Vary"] == "Authorization, X-API-Key"
    assert keyed.get("/openapi.json").headers["Cache-Control"] == "private, no-store"


def test_many_known_values_are_shortened_only_in_the_text_for_people() -> None:
    schema = column_schema(Column(type="string", allowed=[f"v{number}" for number in range(40)]))
    assert schema["description"].endswith("v29….")
    assert len(schema["x-known-values"]) == 40


def test_responses_are_described_with_the_classes(keyed: httpx.Client) -> None:
    answer = schemas(keyed)["Answer"]["properties"]
    assert answer["predictions"]["items"] == {"enum": ["maybe", "no", "yes"]}
    assert answer["probabilities"]["items"]["required"] == ["maybe", "no", "yes"]


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/{name}/infer"])
@pytest.mark.parametrize("client", ["server", "keyed"])
def test_every_documented_example_gets_a_prediction(client: str, path: str, request: pytest.FixtureRequest) -> None:
    server: httpx.Client = request.getfixturevalue(client)
    media = server.get("/openapi.json").json()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert len(media["examples"]) == (4 if path == "/invocations" else 1)
    for example in media["examples"].values():
        answer = server.post(path.format(name="people"), json=example["value"])
        assert answer.status_code == 200, answer.text


def test_the_description_follows_a_model_swap(source: FixedSource, server: httpx.Client) -> None:
    before = source.state.current
    shorter = DataContract(
        name="people",
        path="x",
        task="regression",
        target="spent",
        columns={name: column for name, column in REGRESSION.columns.items() if name in ("age", "score", "spent")},
    )
    source.state.current = FixedSource(loaded(fitted(shorter), shorter, "8")).current
    try:
        document = server.get("/openapi.json").json()
        page = server.get("/docs").text
    finally:
        source.state.current = before
    assert document["info"]["title"] == "people, version 8"
    assert "<title>people, version 8</title>" in page
    assert document["components"]["schemas"]["Row"]["required"] == ["age", "score"]
    assert document["components"]["schemas"]["Answer"]["properties"]["predictions"]["items"] == {"type": "number"}


def test_without_a_model_the_api_is_still_described() -> None:
    with TestClient(create_app(FixedSource(None))) as client:
        document = client.get("/openapi.json").json()
        assert client.get("/docs").status_code == 200
    assert document["info"]["title"] == "Model server"
    assert set(document["components"]["schemas"]) >= {"Row", "Rows", "Invocation", "Tensors", "Answer", "Problem"}


def test_the_page_and_everything_it_loads_come_from_this_server(server: httpx.Client) -> None:
    page = server.get("/docs")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert not [link for link in links if re.match(r"(https?:)?//", link)]
    loads = [link for link in links if not link.startswith("data:")]
    assert {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js", "openapi.json"} == set(loads)
    assert [server.get(f"/{link}").status_code for link in loads] == [200] * 4
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert server.get("/docs/redoc.standalone.js").status_code == 404
    assert server.get("/docs/..%2f__init__.py").status_code == 404


def test_a_model_name_cannot_inject_a_script_into_the_page() -> None:
    source = FixedSource(loaded(fitted(), version="<script>alert(1)</script>"))
    with TestClient(create_app(source)) as client:
        assert "<script>alert" not in client.get("/docs").text


def test_only_operations_that_need_a_key_declare_it(tmp_path: Any) -> None:
    new_key(tmp_path / "keys.yaml", "checkout", ["predict"])
    with TestClient(
        create_app(FixedSource(loaded(fitted())), access=Access(KeyRing(tmp_path / "keys.yaml")))
    ) as client:
        document = client.get("/openapi.json").json()
        operations = {
            (method.upper(), path): operation
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }
        keyed = {where for where, operation in operations.items() if operation["security"]}
        assert keyed == {
            ("GET", "/model"),
            ("GET", "/v2/models/{name}"),
            ("GET", "/v2/models/{name}/versions/{version}"),
            ("POST", "/invocations"),
            ("POST", "/labels"),
            ("POST", "/predict"),
            ("POST", "/v2/models/{name}/infer"),
            ("POST", "/v2/models/{name}/versions/{version}/infer"),
        }
        for method, path in operations:
            answer = client.request(method, path.format(name="people", version="1"), json={})
            assert (answer.status_code == 401) == ((method, path) in keyed), (method, path, answer.status_code)
