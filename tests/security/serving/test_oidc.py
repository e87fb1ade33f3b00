"""An issuer that hangs or drips delays nobody whose signing key is known, and others no longer than the deadline.

A real issuer on loopback; `tests/serving/auth/test_oidc.py` tests what tokens are accepted.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.serving.auth.access import Access
from platform_lib.serving.auth.oidc import IssuerUnavailable, OidcSettings, TokenRejected, TokenVerifier
from platform_lib.serving.problems import Problem
from tests.serving.auth.issuer import Issuer, issuer_server
from tests.serving.people_server import people_server
from tests.serving.sample_models import rows
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuer_server() as issuer:
        yield issuer


@pytest.fixture(autouse=True)
def _answers_again(issuer: Issuer) -> Iterator[None]:
    yield
    issuer.mode = "answer"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_a_known_key_does_not_wait_for_an_issuer(
    mode: str, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLP_OIDC_ISSUER", issuer.url)
    monkeypatch.setenv("MLP_OIDC_AUDIENCE", "models")
    # Keys that are old at once, and a fetch that would outlast the test.
    patch = (
        "from platform_lib.serving.auth.oidc import OidcSettings\n"
        "OidcSettings.__init__.__kwdefaults__.update(refresh_s=0.0, retry_s=0.0, fetch_s=600.0)"
    )
    with people_server(tmp_path / "server", before=patch) as server, httpx.Client(timeout=60) as client:

        def ask() -> int:
            headers = {"Authorization": f"Bearer {issuer.token(scope='predict')}"}
            return client.post(f"{server.url}/predict", json={"rows": rows(1)}, headers=headers).status_code

        assert ask() == 200
        issuer.mode = mode
        wait_until(lambda: ask() == 200 and issuer.waiting > 0, "a fetch that waits")
        assert [ask() for _ in range(50)] == [200] * 50


def verifier(issuer: Issuer, client: httpx.AsyncClient, **settings: Any) -> TokenVerifier:
    return TokenVerifier(OidcSettings(issuer=issuer.url, audience="models", **settings), client)


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_an_unknown_key_waits_no_longer_than_the_deadline(mode: str, issuer: Issuer) -> None:
    issuer.mode = mode
    fetches = issuer.connections

    async def scenario() -> None:
        async with httpx.AsyncClient() as client:
            tokens = verifier(issuer, client, fetch_s=0.5)
            together = [tokens.verify(issuer.token()) for _ in range(20)]
            results = await asyncio.gather(*together, return_exceptions=True)
            assert {type(result) for result in results} == {IssuerUnavailable}
            assert tokens.problem is not None
            assert "no answer within 0.5 s" in tokens.problem
            for _ in range(20):  # the next fetch is not due, so these do not wait
                with pytest.raises(IssuerUnavailable):
                    await tokens.verify(issuer.token())

    asyncio.run(scenario())
    assert issuer.connections == fetches + 1


def test_a_withdrawn_key_is_forgotten_without_any_request(issuer: Issuer) -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient() as client:
            tokens = verifier(issuer, client, refresh_s=0.01, retry_s=0.01)
            token = issuer.token("two")
            assert (await tokens.verify(token))["sub"] == "checkout"
            withdrawn = issuer.keys.pop("two")
            try:
                fetched = issuer.fetches
                while issuer.fetches < fetched + 3:
                    await asyncio.sleep(0.01)
                with pytest.raises(TokenRejected, match="does not publish"):
                    await tokens.verify(token)
            finally:
                issuer.keys["two"] = withdrawn

    asyncio.run(scenario())


def test_a_name_that_is_not_text_gets_one_sentence(issuer: Issuer) -> None:
    async def check(**claims: Any) -> str:
        async with httpx.AsyncClient() as client:
            access = Access(tokens=verifier(issuer, client))
            headers = {"authorization": f"Bearer {issuer.token(sub='a' + chr(0xD800), **claims)}"}
            return (await access.check(headers, "predict")).name

    assert asyncio.run(check(scope="predict")) == r"a\ud800"
    with pytest.raises(Problem, match="needs the scope predict") as refused:
        asyncio.run(check())
    assert refused.value.status == 403
    refused.value.detail.encode()
