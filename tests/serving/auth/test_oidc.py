"""Bearer tokens against a real issuer process: discovery, JWKS, key rotation and outages."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.testclient import TestClient

from platform_lib.errors import UsageError
from platform_lib.serving.auth.access import Access
from platform_lib.serving.auth.oidc import IssuerUnavailable, OidcSettings, TokenRejected, TokenVerifier
from platform_lib.serving.http.app import create_app
from tests.serving.auth.issuer import Issuer, issuer_server, make_key, public
from tests.serving.sample_models import FixedSource, fitted, loaded


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuer_server() as issuer:
        del issuer.keys["two"]
        yield issuer


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def verify(verifier: TokenVerifier, token: str) -> dict[str, Any]:
    """Verify a token, and wait until keys that are fetched in the background have arrived."""

    async def scenario() -> dict[str, Any]:
        try:
            return await verifier.verify(token)
        finally:
            if (fetch := verifier._fetch_task) is not None and not fetch.done():  # noqa: SLF001  the server's loop goes on, this one ends
                await asyncio.wait([fetch])

    return asyncio.run(scenario())


@pytest.fixture
def clock() -> Clock:
    return Clock()


class _FreshClient:
    """Open one connection per call, because each test call has its own event loop."""

    async def get(self, url: str, timeout: float) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(url, timeout=timeout)


@pytest.fixture
def verifier(issuer: Issuer, clock: Clock) -> TokenVerifier:
    return TokenVerifier(OidcSettings(issuer=issuer.url, audience="models"), _FreshClient(), now=clock)  # type: ignore[arg-type]


def test_a_valid_token_gives_its_claims(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert verify(verifier, issuer.token(scope="predict"))["scope"] == "predict"


def test_the_signing_keys_are_fetched_once(issuer: Issuer, verifier: TokenVerifier) -> None:
    for _ in range(5):
        verify(verifier, issuer.token())
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "others"}, "Audience"),
        ({"iss": "http://evil.invalid"}, "issuer"),
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"nbf": int(time.time()) + 3600}, "not yet valid"),
        ({"exp": None}, "exp"),
        ({"aud": None}, "aud"),
    ],
    ids=["audience", "issuer", "expired", "not-yet", "no-expiry", "no-audience"],
)
def test_a_token_with_a_wrong_audience_issuer_or_time_is_refused(
    issuer: Issuer, verifier: TokenVerifier, claims: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TokenRejected, match=reason):
        verify(verifier, issuer.token(**claims))


def test_a_small_clock_skew_is_tolerated(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert verify(verifier, issuer.token(exp=int(time.time()) - 10))["sub"] == "checkout"


def test_a_signature_by_a_foreign_key_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    with pytest.raises(TokenRejected, match="Signature verification failed"):
        verify(verifier, issuer.token(key=make_key()))


@pytest.mark.parametrize(("algorithm", "key"), [("none", None), ("HS256", "x" * 64), ("RS512", None)])
def test_an_algorithm_outside_the_allow_list_is_refused(
    issuer: Issuer, verifier: TokenVerifier, algorithm: str, key: str | None
) -> None:
    token = jwt.encode(
        {"iss": issuer.url, "aud": "models", "exp": time.time() + 60},
        key or (issuer.keys["one"] if algorithm != "none" else ""),
        algorithm=algorithm,
    )
    with pytest.raises(TokenRejected, match="is signed with"):
        verify(verifier, token)


def test_a_malformed_token_is_refused(verifier: TokenVerifier) -> None:
    with pytest.raises(TokenRejected, match="not a JWT"):
        verify(verifier, "a.b.c")


def test_a_new_signing_key_is_fetched_when_a_token_names_it(
    issuer: Issuer, verifier: TokenVerifier, clock: Clock
) -> None:
    verify(verifier, issuer.token())
    issuer.keys["two"] = make_key()
    clock.seconds += 60
    assert verify(verifier, issuer.token(key_id="two"))["sub"] == "checkout"


def test_a_withdrawn_signing_key_is_refused_after_the_refresh(
    issuer: Issuer, verifier: TokenVerifier, clock: Clock
) -> None:
    token = issuer.token()
    verify(verifier, token)
    issuer.keys = {"two": make_key()}
    clock.seconds += 301
    verify(verifier, token)
    with pytest.raises(TokenRejected, match="does not publish"):
        verify(verifier, token)


def test_unknown_key_ids_do_not_cause_a_request_each(issuer: Issuer, verifier: TokenVerifier) -> None:
    verify(verifier, issuer.token())
    for number in range(20):
        with pytest.raises(TokenRejected):
            verify(verifier, issuer.token(key_id=f"unknown-{number}", key=issuer.keys["one"]))
    assert issuer.fetches == 1


def test_an_issuer_that_is_down_changes_nothing_while_its_keys_are_cached(
    issuer: Issuer, verifier: TokenVerifier, clock: Clock
) -> None:
    token = issuer.token()
    verify(verifier, token)
    issuer.down = True
    clock.seconds += 3600
    assert verify(verifier, token)["sub"] == "checkout"
    assert verifier.problem is not None and "503" in verifier.problem
    clock.seconds += 86_400
    with pytest.raises(IssuerUnavailable):
        verify(verifier, token)


def test_an_issuer_that_was_never_reached_is_unavailable_until_it_recovers(
    issuer: Issuer, verifier: TokenVerifier, clock: Clock
) -> None:
    issuer.down = True
    with pytest.raises(IssuerUnavailable):
        verify(verifier, issuer.token())
    issuer.down = False
    clock.seconds += 11
    assert verify(verifier, issuer.token())["sub"] == "checkout"


def test_a_shared_secret_algorithm_cannot_be_configured() -> None:
    settings = OidcSettings(issuer="https://id.example", audience="models")
    with pytest.raises(UsageError, match="HS256"):
        replace(settings, algorithms=("HS256",))


@pytest.mark.parametrize("issuer", ["http://id.example", "id.example", "file:///etc/passwd", ""])
def test_an_issuer_that_can_be_impersonated_is_refused(issuer: str) -> None:
    with pytest.raises(UsageError, match="expected an https:// URL"):
        OidcSettings(issuer=issuer, audience="models")


def _signed(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    return b".".join([head, body, base64.urlsafe_b64encode(sign(head + b"." + body)).rstrip(b"=")]).decode()


def test_the_public_key_is_not_accepted_as_a_shared_secret(issuer: Issuer, verifier: TokenVerifier) -> None:
    key = issuer.keys["one"].public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = {"iss": issuer.url, "aud": "models", "exp": time.time() + 60}
    for secret in (pem, pem.strip(), json.dumps(public(issuer.keys["one"])).encode()):
        token = _signed({"alg": "HS256", "kid": "one"}, claims, partial(hmac.digest, secret, digest="sha256"))
        with pytest.raises(TokenRejected, match="is signed with 'HS256', expected RS256 or ES256"):
            verify(verifier, token)


@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "NONE", "", None, "rs256", "RS256 ", ["RS256"], {"RS256": 1}, 256],
    ids=["none", "None", "NONE", "empty", "null", "lower", "space", "list", "object", "number"],
)
def test_no_spelling_of_an_algorithm_gets_around_the_check(
    issuer: Issuer, verifier: TokenVerifier, algorithm: Any
) -> None:
    token = _signed(
        {"alg": algorithm, "kid": "one"},
        {"iss": issuer.url, "aud": "models", "exp": time.time() + 60},
        lambda data: b"",
    )
    with pytest.raises(TokenRejected):
        verify(verifier, token)


def test_a_key_verifies_only_with_its_own_algorithm(issuer: Issuer, clock: Clock) -> None:
    settings = OidcSettings(issuer=issuer.url, audience="models", algorithms=("RS256", "PS256", "ES256"))
    verifier = TokenVerifier(settings, _FreshClient(), now=clock)  # type: ignore[arg-type]
    assert verify(verifier, issuer.token(algorithm="PS256"))["sub"] == "checkout"
    issuer.strange = [public(issuer.keys["one"]) | {"kid": "bound", "alg": "RS256"}]
    clock.seconds += 60
    assert verify(verifier, issuer.token("bound", key=issuer.keys["one"]))["sub"] == "checkout"
    with pytest.raises(TokenRejected, match="its key is for another algorithm"):
        verify(verifier, issuer.token("bound", "PS256", key=issuer.keys["one"]))
    with pytest.raises(TokenRejected, match="its key is for another algorithm"):
        verify(verifier, issuer.token("one", "ES256", key=ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    "key_id",
    ["../../one", "one\x00", "ONE", "' or 1=1 --", "http://evil.invalid/keys", "x" * 5000, 1, None, ["one"], {"a": 1}],
    ids=["path", "nul", "case", "sql", "url", "long", "number", "null", "list", "object"],
)
def test_a_key_id_is_only_a_lookup_key(issuer: Issuer, verifier: TokenVerifier, key_id: Any) -> None:
    verify(verifier, issuer.token())
    with pytest.raises(TokenRejected):
        verify(
            verifier,
            _signed(
                {"alg": "RS256", "kid": key_id},
                {"iss": issuer.url, "aud": "models", "exp": time.time() + 60},
                lambda data: b"x",
            ),
        )


def test_a_key_embedded_in_the_token_is_not_used(issuer: Issuer, verifier: TokenVerifier) -> None:
    own = make_key()
    claims = {"iss": issuer.url, "aud": "models", "exp": int(time.time()) + 60}
    for kid in ("one", "mine"):
        headers = {"kid": kid, "jwk": public(own), "jku": "http://evil.invalid/keys", "x5u": "http://evil.invalid/cert"}
        with pytest.raises(TokenRejected):
            verify(verifier, jwt.encode(claims, own, algorithm="RS256", headers=headers))


def test_an_unknown_critical_extension_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    claims = {"iss": issuer.url, "aud": "models", "exp": int(time.time()) + 60}
    token = jwt.encode(
        claims, issuer.keys["one"], algorithm="RS256", headers={"kid": "one", "crit": ["bound-to"], "bound-to": "tls"}
    )
    with pytest.raises(TokenRejected):
        verify(verifier, token)


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        "..",
        "." * 50,
        "é.é.é",
        "e30.e30.e30",
        base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.e30",
        "x" * 20_000 + ".e30.e30",
    ],
    ids=["letters", "empty", "dots", "not-ascii", "empty-objects", "deep", "long"],
)
def test_garbage_is_refused_without_a_request_to_the_issuer(
    issuer: Issuer, verifier: TokenVerifier, token: str
) -> None:
    with pytest.raises(TokenRejected):
        verify(verifier, token)
    assert issuer.fetches == 0


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": 1e400},
        {"exp": [1]},
        {"nbf": "x"},
        {"aud": {"a": 1}},
        {"aud": ["others"]},
        {"aud": []},
        {"sub": 3},
    ],
    ids=["exp-text", "exp-infinite", "exp-list", "nbf-text", "aud-object", "aud-others", "aud-empty", "sub-number"],
)
def test_claims_of_the_wrong_type_are_refused(issuer: Issuer, verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRejected):
        verify(verifier, issuer.token(**claims))


def test_a_similar_but_different_issuer_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    for alike in (issuer.url + "/", issuer.url.upper(), issuer.url[:-1]):
        with pytest.raises(TokenRejected):
            verify(verifier, issuer.token(iss=alike))


def test_a_large_clock_skew_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    now = int(time.time())
    assert verify(verifier, issuer.token(nbf=now + 20, iat=now + 20))["sub"] == "checkout"
    for claim, seconds in (("exp", now - 40), ("nbf", now + 45), ("iat", now + 45)):
        claims: dict[str, Any] = {claim: seconds}
        with pytest.raises(TokenRejected):
            verify(verifier, issuer.token(**claims))


def test_invalid_keys_in_the_set_do_not_affect_the_others(issuer: Issuer, verifier: TokenVerifier) -> None:
    issuer.strange = [
        {"kty": "EC", "crv": "brainpoolP256r1", "kid": "a", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "b", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "c", "alg": "RSA-OAEP", "use": "enc", "n": "AQAB", "e": "AQAB"},
        {"kty": "oct", "kid": "d", "k": "c2VjcmV0"},
        {"kty": "AKP", "kid": "e"},
        "text",
        None,
    ]
    assert verify(verifier, issuer.token())["sub"] == "checkout"
    with pytest.raises(TokenRejected, match="does not publish"):
        verify(
            verifier, _signed({"alg": "HS256", "kid": "d"} | {"alg": "RS256"}, {"iss": issuer.url}, lambda data: b"x")
        )


def test_over_http_scopes_decide_access_and_an_issuer_outage_is_a_503(issuer: Issuer, verifier: TokenVerifier) -> None:
    with TestClient(create_app(FixedSource(loaded(fitted())), access=Access(tokens=verifier))) as client:

        def ask(path: str, token: str) -> int:
            return int(client.post(path, json={}, headers={"Authorization": f"Bearer {token}"}).status_code)

        issuer.down = True
        answer = client.post("/predict", json={}, headers={"Authorization": f"Bearer {issuer.token(scope='predict')}"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert ask("/predict", "no-token") == 401
        issuer.down = False
        verifier._tried_at = float("-inf")  # noqa: SLF001  as if ten seconds had passed
        as_text, as_list = issuer.token(scope="openid predict"), issuer.token(scp=["labels", "openid"])
        assert (ask("/predict", as_text), ask("/labels", as_text)) == (400, 403)
        assert (ask("/predict", as_list), ask("/labels", as_list)) == (403, 503)
        assert ask("/predict", issuer.token()) == 403
        for strange in ({"predict": False}, 5, True, [["predict"]], [None]):
            assert ask("/predict", issuer.token(scope=strange)) == 403
