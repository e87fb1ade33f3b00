"""Logging in, staying in and signing out: the real oauth2-proxy behind the real Traefik, with a small OIDC issuer."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.infra.edge.login import COOKIES
from tests.infra.edge.login_lab import DOMAIN, LoginLab, login_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ADA = {"email": "ada@example.com", "email_verified": True, "groups": ["churn-team"]}
UIS = ("mlflow", "prefect", "grafana")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginLab]:
    logout = "https://login.example.com/realms/ml/logout?id_token_hint={id_token}"
    with login_lab(tmp_path_factory.mktemp("login"), ADA, refresh="1s", oidc_logout_url=logout) as made:
        yield made


def page(client: httpx.Client, host: str, path: str = "/", **more: Any) -> httpx.Response:
    return client.get(f"https://{host}.{DOMAIN}{path}", **more)


def sign_in(client: httpx.Client, host: str = "mlflow") -> httpx.Response:
    return page(client, host, "/some/page?a=1", follow_redirects=True, headers={"Accept": "text/html"})


def session(client: httpx.Client) -> dict[str, str]:
    """The login's cookies."""
    return {one.name: one.value or "" for one in client.cookies.jar if one.name in COOKIES}


def refreshed(client: httpx.Client, host: str) -> None:
    """Open a page until the browser has another session, as it does once the session is old enough."""
    before = session(client)

    def is_new() -> bool:
        assert page(client, host).status_code == 200
        return session(client) != before

    wait_until(is_new, "the session is not refreshed")


def test_a_person_comes_back_to_the_page_that_was_asked_for_and_is_in_everywhere(lab: LoginLab) -> None:
    with lab.browser() as client:
        answer = sign_in(client)
        assert (answer.status_code, answer.json()["path"]) == (200, "/some/page?a=1")
        assert answer.json()["headers"]["x-auth-request-email"] == "ada@example.com"
        assert [page(client, host).status_code for host in UIS] == [200] * 3
    [asked, *_] = lab.issued("/authorize")
    assert asked["scope"] == "openid email profile" and asked["code_challenge_method"] == "S256"


def test_a_refreshed_session_reaches_the_browser_also_with_rotating_tokens(lab: LoginLab) -> None:
    with lab.browser() as client:
        sign_in(client)
        for host in ("grafana", "mlflow", "grafana"):  # each with the newest refresh token, the only one that is valid
            refreshed(client, host)
        assert [page(client, host).status_code for host in UIS] == [200] * 3
    assert {one["ok"] for one in lab.issued("/token") if one["grant"] == "refresh_token"} == {True}


def test_a_session_of_more_than_one_cookie_is_refreshed_as_a_whole(lab: LoginLab) -> None:
    lab.next_claims(**ADA, padding=secrets.token_hex(3000))
    try:
        with lab.browser() as client:
            assert sign_in(client).status_code == 200
            before = session(client)
            assert len(before) > 1
            refreshed(client, "grafana")
            after = session(client)
            assert after.keys() == before.keys() and all(after[name] != before[name] for name in before)
            assert page(client, "grafana").status_code == 200
    finally:
        lab.next_claims(**ADA)


@pytest.mark.parametrize("host", UIS)
def test_signing_out_works_on_every_host_and_ends_the_issuers_session(lab: LoginLab, host: str) -> None:
    with lab.browser() as client:
        sign_in(client)
        ended = len(lab.issued("/logout"))
        page(client, host, "/oauth2/sign_out")
        assert session(client) == {} and [page(client, other).status_code for other in UIS] == [302] * 3
        assert len(lab.issued("/logout")) == ended + 1 and lab.issued("/logout")[-1]["id_token_hint"].count(".") == 2


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("mlflow", "/ajax-api/2.0/mlflow/runs/search"),
        ("mlflow", "/graphql"),
        ("prefect", "/api/flows/filter"),
        ("grafana", "/api/ds/query?x=1"),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_without_a_session_what_pages_fetch_gets_401_and_a_page_is_sent_to_the_issuer(
    lab: LoginLab, host: str, path: str, accept: str
) -> None:
    with lab.browser() as client:
        assert page(client, host, path, headers={"Accept": accept}).status_code == 401
        answer = page(client, host, "/", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (302, f"{lab.issuer}/authorize")


def test_no_cookie_and_no_identity_reaches_a_model(lab: LoginLab) -> None:
    with lab.browser() as client:
        sign_in(client)
        answer = page(client, "models", "/models/churn/docs")
        assert answer.request.headers["cookie"].startswith("_mlp_login"), "the browser sends it"
        seen = answer.json()["headers"]
        assert "cookie" not in seen and not [name for name in seen if name.startswith("x-auth-request")]


def test_a_group_that_may_not_open_an_interface_gets_403(lab: LoginLab) -> None:
    lab.next_claims(email="eve@example.com", email_verified=True, groups=["nobody"])
    try:
        with lab.browser() as client:
            assert sign_in(client).status_code == 200, "MLflow is open to all"
            assert page(client, "grafana").status_code == 403
    finally:
        lab.next_claims(**ADA)


ISSUERS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    # issuer → claims in its tokens, settings, what Grafana answers
    "Entra ID without email": (
        {"preferred_username": "ada@example.com", "groups": ["churn-team"]},
        {"oidc_email_claim": "preferred_username"},
        200,
    ),
    "Okta with its own scopes, an unverified address": (
        {**ADA, "email_verified": False},
        {"oidc_scopes": ["openid", "email", "groups", "offline_access"], "oidc_unverified_email": True},
        200,
    ),
    "Google with listed people": (
        {"email": "ada@gmail.example", "email_verified": True},
        {
            "email_domains": [],
            "email_addresses": ["ada@gmail.example"],
            "oidc_groups_claim": "email",
            "ui_groups": ["grafana=ada@gmail.example"],
        },
        200,
    ),
    "Google with other people": (
        {"email": "eve@gmail.example", "email_verified": True},
        {"email_domains": [], "email_addresses": ["ada@gmail.example"], "oidc_groups_claim": "email"},
        403,
    ),
}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_issuers_that_differ_are_settings(issuer: str, tmp_path: Path) -> None:
    claims, settings, expected = ISSUERS[issuer]
    with login_lab(tmp_path, claims, **settings) as lab, lab.browser() as client:
        assert sign_in(client, "grafana").status_code == expected
        if scopes := settings.get("oidc_scopes"):
            assert lab.issued("/authorize")[0]["scope"] == " ".join(scopes)
