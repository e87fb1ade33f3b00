"""Authentication and authorisation: who gets in, and the response for everyone else."""

import asyncio
import hmac
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from platform_lib.serving.auth.access import Access, Caller
from platform_lib.serving.auth.api_keys import SCOPES, KeyRing, Scope, new_key
from platform_lib.serving.http.app import create_app
from platform_lib.serving.problems import Problem
from tests.serving.sample_models import FixedSource, fitted, loaded


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def check(access: Access, headers: dict[str, str], scope: Scope = "predict") -> Caller:
    return asyncio.run(access.check(headers, scope))


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_is_accepted_in_either_header(key_file: Path, header: str) -> None:
    key = new_key(key_file, "checkout", ["predict"])
    caller = check(Access(KeyRing(key_file)), {header: f"Bearer {key}" if header == "authorization" else key})
    assert caller == Caller("checkout", frozenset({"predict"}))


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "the key is missing"),
        ({"authorization": "Basic YTpi"}, "the key is missing"),
        ({"authorization": "Bearer mlp_wrong"}, "the key is unknown"),
        ({"authorization": "Bearer a.b.c"}, "the key is unknown"),
    ],
    ids=["none", "basic", "unknown", "token-without-issuer"],
)
def test_without_a_known_key_the_answer_is_401_with_a_challenge(
    key_file: Path, headers: dict[str, str], detail: str
) -> None:
    new_key(key_file, "checkout", ["predict"])
    with pytest.raises(Problem, match=detail) as caught:
        check(Access(KeyRing(key_file)), headers)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_does_only_what_its_scopes_allow(key_file: Path) -> None:
    key = new_key(key_file, "checkout", ["predict"])
    with pytest.raises(Problem, match="checkout has the scopes predict; this request needs the scope labels") as caught:
        check(Access(KeyRing(key_file)), {"x-api-key": key}, "labels")
    assert caught.value.status == 403


def test_without_keys_and_issuer_every_request_is_allowed() -> None:
    assert check(Access(), {}, "admin").scopes == {"predict", "labels", "admin"}


def test_an_empty_key_file_lets_no_one_in(key_file: Path) -> None:
    with pytest.raises(Problem) as caught:
        check(Access(KeyRing(key_file)), {"x-api-key": ""})
    assert caught.value.status == 401


ROUTES: dict[tuple[str, str], str] = {
    ("POST", "/predict"): "predict",
    ("POST", "/invocations"): "predict",
    ("POST", "/v2/models/people/infer"): "predict",
    ("POST", "/v2/models/people/versions/1/infer"): "predict",
    ("GET", "/v2/models/people"): "predict",
    ("GET", "/v2/models/people/versions/1"): "predict",
    ("POST", "/labels"): "labels",
    ("GET", "/model"): "any",
    ("GET", "/healthz"): "open",
    ("GET", "/readyz"): "open",
    ("GET", "/readyz/pod"): "open",
    ("GET", "/ping"): "open",
    ("GET", "/version"): "open",
    ("GET", "/v2"): "open",
    ("GET", "/v2/health/live"): "open",
    ("GET", "/v2/health/ready"): "open",
    ("GET", "/v2/models/people/ready"): "open",
    ("GET", "/v2/models/people/versions/1/ready"): "open",
    ("GET", "/docs"): "open",
    ("GET", "/openapi.json"): "open",
}


def test_every_route_requires_exactly_its_own_scope(key_file: Path) -> None:
    keys = {scope: new_key(key_file, scope, [scope]) for scope in SCOPES}
    app = create_app(FixedSource(loaded(fitted())), access=Access(KeyRing(key_file)))
    documented = {(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item}
    named = {
        (method, path.replace("people", "{name}").replace("versions/1", "versions/{version}"))
        for method, path in ROUTES
    }
    assert documented <= named, "a new route needs a line above"
    with TestClient(app) as client:
        for (method, path), needed in ROUTES.items():
            without = client.request(method, path, json={})
            assert (without.status_code == 401) == (needed != "open"), (method, path, without.text)
            for scope, key in keys.items():
                status = client.request(method, path, json={}, headers={"X-API-Key": key}).status_code
                assert (status == 403) == (needed not in ("open", "any", scope)), (method, path, scope, status)
                assert status != 401


def test_internal_details_are_shown_only_to_admins(key_file: Path) -> None:
    keys = {scope: new_key(key_file, scope, [scope]) for scope in SCOPES}
    source = FixedSource(None)
    source.state.waiting_for = "version 3 was refused: cannot import name 'x' from /srv/secret/place.py"
    source.state.registry_error = "the local registry failed: /srv/secret/mlflow.db"
    with TestClient(create_app(source, access=Access(KeyRing(key_file)))) as client:
        key_file.write_text("keys: 3")
        told = {scope: client.get("/model", headers={"X-API-Key": key}).text for scope, key in keys.items()}
        outside = [
            client.get(path).text
            for path in ("/readyz", "/ping", "/v2/health/ready", "/v2/models/people/ready", "/docs", "/openapi.json")
        ]
        outside.append(client.post("/predict", json={"rows": [{}]}, headers={"X-API-Key": keys["predict"]}).text)
    for needle in ("place.py", "mlflow.db", "keys.yaml"):
        assert needle in told["admin"]
        assert not [text for text in (told["predict"], told["labels"], *outside) if needle in text]
    assert "version 3 was refused; GET /model tells admins why." in outside[0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {key}x"},
        {"Authorization": "Bearer {key} {key}"},
        {"Authorization": "Bearer wrong", "X-API-Key": "{key}"},
        {"Authorization": "Basic {key}"},
        {"Authorization": "{key}"},
        {"X-API-Key": "Bearer {key}"},
        {"X_API_Key": "{key}"},
        {"Cookie": "x-api-key={key}"},
        {"X-Original-URL": "/healthz"},
        {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
        {"X-HTTP-Method-Override": "GET"},
    ],
    ids=lambda headers: " and ".join(headers),
)
def test_credentials_in_any_other_header_or_form_are_refused(key_file: Path, headers: dict[str, str]) -> None:
    key = new_key(key_file, "checkout", ["predict"])
    with TestClient(create_app(FixedSource(None), access=Access(KeyRing(key_file)))) as client:
        sent = {name: value.format(key=key) for name, value in headers.items()}
        answer = client.post(f"/predict?key={key}&access_token={key}", json={"rows": [{}]}, headers=sent)
    assert answer.status_code == 401
    assert key not in answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_refused_credential_appears_in_no_response_and_no_log(
    key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    new_key(key_file, "checkout", ["predict"])
    with TestClient(create_app(FixedSource(None), access=Access(KeyRing(key_file)))) as client:
        answer = client.post(
            "/predict", json={"rows": [{}]}, headers={"Authorization": "Bearer mlp_s3cr3t-of-somebody"}
        )
    assert "s3cr3t" not in answer.text + str(answer.headers) + caplog.text


def test_a_lookup_compares_every_key(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _, last = (new_key(key_file, name, ["predict"]) for name in ("a", "b", "c"))
    ring, compared = KeyRing(key_file), 0
    compare = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        nonlocal compared
        compared += 1
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    counts = []
    for key in (first, last, "unknown"):
        compared = 0
        ring.find(key)
        counts.append(compared)
    assert counts == [3, 3, 3]
