"""Checks of the platform from outside: certificates, redirects to HTTPS, logins, closed paths."""

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
# Pages and API paths of the UIs: a login for `/` alone protects nothing.
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
    """Check every host of the platform.

    Args:
        outputs: Outputs of the shared stack.
        team_prefects: Team → address of its own Prefect UI.
        authority: File with the CA certificate, if it is not a public one.
        http_port: Port of plain HTTP, which must redirect to HTTPS.
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
            f"{name}: {host} does not resolve.",
            "Add a DNS record for the platform's load balancer (docs/platform: DNS).",
        )
    except ssl.SSLCertVerificationError as err:
        return problem(
            "tls",
            f"{name}: the certificate of {host} is not trusted: {err.verify_message}.",
            "Check with `kubectl get certificate -A` whether it was issued; for a private CA use --ca-file.",
        )
    except (OSError, ssl.SSLError) as err:
        return problem(
            "tls",
            f"{name}: no TLS connection to {host}:{port}: {err}.",
            "Check that the load balancer is reachable from here and that port 443 is open.",
        )
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends - datetime.now(UTC)).days
    seen = f"{name}: {host} has a trusted certificate for {days} days, {protocol}."
    if days < _DAYS_LEFT:
        return problem("tls", seen, "It should have been renewed: run `kubectl describe certificate -A`.")
    return ok("tls", seen)


def _redirect(client: httpx.Client, name: str, url: str, http_port: int) -> Finding:
    host = urlsplit(url).hostname or ""
    try:
        answer = client.get(f"http://{host}:{http_port}/")
    except httpx.HTTPError as err:
        return note(
            "tls",
            f"{name}: plain HTTP on {host} does not respond ({type(err).__name__}).",
            "The HTTP-01 challenge of ACME needs port 80.",
        )
    if answer.status_code in (301, 308) and answer.headers.get("location", "").startswith("https://"):
        return ok("tls", f"{name}: plain HTTP redirects to HTTPS.")
    return problem(
        "tls",
        f"{name}: plain HTTP on {host} returns {answer.status_code}, expected a redirect to HTTPS.",
        "Run `pulumi up` in infra_stack/.",
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
                f"{name}: {target} does not respond ({type(err).__name__}).",
                "Run `kubectl -n mlp-ingress get pods,ingressroute -A`.",
            )
        answers.append(answer)
        if answer.status_code not in (*_LOGIN, 400, 404):
            opened.append(f"/{path} → {answer.status_code}")
    if opened:
        return problem(
            "login",
            f"{name} opens without a login: {', '.join(opened)}.",
            "Its route lacks the login middleware: close the host now, then run `pulumi up` in infra_stack/.",
        )
    if not any(answer.status_code in _LOGIN for answer in answers):
        return problem(
            "login",
            f"{name}: no path leads to the login; / returns {answers[0].status_code}.",
            "Check that the route exists: `kubectl get ingressroute -A`.",
        )
    if "strict-transport-security" not in answers[0].headers:
        return problem(
            "login",
            f"{name} requires a login, but does not send Strict-Transport-Security.",
            "Run `pulumi up` in infra_stack/, which sets the header.",
        )
    return ok("login", f"{name} requires a login on all {len(_UI_PATHS)} paths.")


def _models(client: httpx.Client, url: str) -> Finding:
    seen = []
    for path in ("", "metrics", "models", "models/no-such-model/predict", "models/no-such-model/metrics"):
        try:
            answer = client.get(f"{url}/{path}")
        except httpx.HTTPError as err:
            return problem(
                "login",
                f"models: {url} does not respond ({type(err).__name__}).",
                "Run `kubectl -n mlp-ingress get pods`.",
            )
        if answer.status_code == 200:
            seen.append(f"/{path}")
    if seen:
        return problem(
            "login",
            f"models: {', '.join(seen)} can be opened without a key.",
            "Find the wrong route with `kubectl get ingressroute -A`.",
        )
    return ok("login", "models: paths that do not belong to a model are closed.")
