"""The platform as anybody on the network meets it: certificates, the way to https, the login before every page, closed doors."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from platform_lib.findings import Finding, note, ok, problem
from platform_lib.names import SharedOutputs

_TIMEOUT_S = 10.0
_DAYS_LEFT = 14
_LOGIN = (301, 302, 303, 307, 401, 403)
# A page of each, and ways that an interface has besides: whoever guards only `/` guards nothing.
_UI_PATHS = (
    "",
    "api/2.0/mlflow/experiments/search?max_results=1",
    "api/flows/count",
    "api/dashboards/home",
    "graphql",
    "metrics",
    "%61pi/health",
)


def look_from_outside(
    outputs: SharedOutputs,
    *,
    team_prefects: Mapping[str, str] | None = None,
    authority: Path | None = None,
    http_port: int = 80,
) -> Iterator[Finding]:
    """Ask every host of the platform.

    Args:
        team_prefects: Team → address of its own Prefect's pages.
        authority: Who signed the certificates, when no public authority did.
        http_port: Where plain HTTP is answered, for the way to https.
    """
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    uis = {"MLflow": outputs.mlflow_ui_url, "Prefect": outputs.prefect_ui_url, "Grafana": outputs.grafana_url}
    uis |= {f"Prefect of {team}": url for team, url in (team_prefects or {}).items()}
    models = f"https://{outputs.models_host}"
    for name, url in {**uis, "models": models}.items():
        yield _certificate(name, url, context)
    with httpx.Client(verify=context, timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
        for name, url in {**uis, "models": models}.items():
            yield _redirect(client, name, url, http_port)
        for name, url in uis.items():
            yield _login(client, name, url)
        yield _models(client, models)


def _certificate(name: str, url: str, context: ssl.SSLContext) -> Finding:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            certificate, protocol = secure.getpeercert() or {}, secure.version()
    except socket.gaierror:
        return problem(
            "tls",
            f"{name}: {host} has no address.",
            "Let the name lead to the platform's load balancer (docs/platform: DNS).",
        )
    except ssl.SSLCertVerificationError as err:
        return problem(
            "tls",
            f"{name}: the certificate of {host} is not trusted: {err.verify_message}.",
            "`kubectl get certificate -A` says whether it was issued; with an own authority give --ca-file.",
        )
    except (OSError, ssl.SSLError) as err:
        return problem(
            "tls",
            f"{name}: no TLS connection to {host}:{port}: {err}.",
            "Is the load balancer reachable from here, and port 443 open?",
        )
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends - datetime.now(UTC)).days
    seen = f"{name}: {host} has a trusted certificate for {days} days, {protocol}."
    if days < _DAYS_LEFT:
        return problem("tls", seen, "It should have been renewed: `kubectl describe certificate -A`.")
    return ok("tls", seen)


def _redirect(client: httpx.Client, name: str, url: str, http_port: int) -> Finding:
    host = urlsplit(url).hostname or ""
    try:
        answer = client.get(f"http://{host}:{http_port}/")
    except httpx.HTTPError as err:
        return note(
            "tls",
            f"{name}: plain HTTP on {host} does not answer ({type(err).__name__}).",
            "ACME's HTTP challenge needs port 80.",
        )
    if answer.status_code in (301, 308) and answer.headers.get("location", "").startswith("https://"):
        return ok("tls", f"{name}: plain HTTP leads to https.")
    return problem(
        "tls",
        f"{name}: plain HTTP on {host} answers {answer.status_code}, expected a way to https.",
        "`pulumi up` of the shared stack.",
    )


def _login(client: httpx.Client, name: str, url: str) -> Finding:
    opened, answers = [], []
    for path in _UI_PATHS:
        target = f"{url.rstrip('/')}/{path}"
        try:
            answer = client.get(
                target, headers={"X-Auth-Request-Email": "nobody@example.com", "X-Forwarded-User": "nobody"}
            )
        except httpx.HTTPError as err:
            return problem(
                "login",
                f"{name}: {target} does not answer ({type(err).__name__}).",
                "`kubectl -n mlp-ingress get pods,ingressroute -A`.",
            )
        answers.append(answer)
        if answer.status_code not in (*_LOGIN, 400, 404):
            opened.append(f"/{path} → {answer.status_code}")
    if opened:
        return problem(
            "login",
            f"{name} opens without a login: {', '.join(opened)}.",
            "Close the host at once: its route lacks the login's middleware; `pulumi up`.",
        )
    if not any(answer.status_code in _LOGIN for answer in answers):
        return problem(
            "login",
            f"{name}: no path leads to the login; / answers {answers[0].status_code}.",
            "Is the route there? `kubectl get ingressroute -A`.",
        )
    if "strict-transport-security" not in answers[0].headers:
        return problem(
            "login",
            f"{name} asks for a login, without Strict-Transport-Security.",
            "`pulumi up` of the shared stack sets the headers.",
        )
    return ok("login", f"{name} asks for a login on all of {len(_UI_PATHS)} paths.")


def _models(client: httpx.Client, url: str) -> Finding:
    seen = []
    for path in ("", "metrics", "models", "models/no-such-model/predict", "models/no-such-model/metrics"):
        try:
            answer = client.get(f"{url}/{path}")
        except httpx.HTTPError as err:
            return problem(
                "login", f"models: {url} does not answer ({type(err).__name__}).", "`kubectl -n mlp-ingress get pods`."
            )
        if answer.status_code == 200:
            seen.append(f"/{path}")
    if seen:
        return problem(
            "login",
            f"models: {', '.join(seen)} answers anybody.",
            "A route leads where it should not: `kubectl get ingressroute -A`.",
        )
    return ok("login", "models: paths that belong to no model are closed.")
