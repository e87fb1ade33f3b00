"""The ASGI application in front of MLflow and Prefect: only this project's user gets through, and pages stay local."""

import base64
import hmac
import html
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platform_lib.local_login import TICKET, TICKET_S, USER, sign, signed_at

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
SESSION_S = 7 * 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """What the guard must know of the service behind it."""

    service: str
    """Its name in `mlp up`; tickets and sessions of other services are not valid here."""
    port: int
    password: str = field(repr=False)
    stored: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Entries of the browser's local storage that a login writes."""
    checks_login: bool = False
    """Whether the service itself refuses callers without the password."""
    open_paths: frozenset[str] = frozenset()
    """Paths that need no login."""


class Guard:
    """Passes a request on if its Host is this machine, its Origin is the site itself, and the caller has logged in.

    A foreign Host is a web page whose name resolves to this machine (DNS rebinding), a foreign Origin a web page that
    sends requests here. Every response tells the browser to contact no other machine.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app, self._site = app, site
        self._started_ms, self._used = int(time.time() * 1000), set[str]()
        self._cookie = f"mlp-{site.service}-{site.port}"
        login = f"{USER}:{site.password}".encode()
        self._authorization = b"Basic " + base64.b64encode(login)
        self._origins = frozenset(f"http://{name}:{site.port}" for name in LOOPBACK_NAMES)
        # The pages of Prefect name their API by one of these addresses, and may be opened by the other.
        own = [f"{scheme}://{name}:{site.port}" for name in LOOPBACK_NAMES[:2] for scheme in ("http", "ws")]
        self._policy = (
            "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
            f"connect-src 'self' data: blob: {' '.join(own)}; "
            "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
        ).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._foreign(headers)
        if refusal is None and scope["type"] == "http" and scope["method"] == "GET":
            refusal = self._redeemed(scope)
        if refusal is None and not self._may_pass(scope, headers):
            refusal = self._unknown(scope, headers)
        if refusal is None:
            await self._app(scope, receive, self._confined(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def _foreign(self, headers: Headers) -> Response | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if any(_name(host) not in LOOPBACK_NAMES for host in hosts):
            return _problem(421, f"this server has no name {hosts[0]!r:.100}: use http://127.0.0.1:{self._site.port}.")
        if any(origin not in self._origins and origin.partition("://")[2] not in hosts for origin in origins):
            return _problem(403, f"pages of {origins[0]!r:.100} must not call this server.")
        return None

    def _redeemed(self, scope: Scope) -> Response | None:
        """Log a browser in that comes with a ticket."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tickets = [value for name, value in query if name == TICKET]
        if not tickets:
            return None
        rest = urlencode([pair for pair in query if pair[0] != TICKET])
        page = f"/{quote(scope['path'].lstrip('/'))}{'?' if rest else ''}{rest}"
        if not self._is_valid(tickets[0]):
            return HTMLResponse(_OUTDATED.format(page=html.escape(page)), 401, _PRIVATE)
        nonce = secrets.token_urlsafe(16)
        entries = json.dumps([self._site.stored, page]).replace("<", "\\u003c")
        response = HTMLResponse(_WELCOME.format(nonce=nonce, entries=entries), headers=dict(_PRIVATE))
        response.headers["content-security-policy"] = f"default-src 'none'; script-src 'nonce-{nonce}'"
        if not self._site.checks_login:
            session = sign(self._site.password, self._site.service, "session")
            response.set_cookie(self._cookie, session, max_age=SESSION_S, httponly=True, samesite="strict")
        return response

    def _is_valid(self, ticket: str) -> bool:
        made = signed_at(ticket, self._site.password, self._site.service, TICKET)
        # Used ones are remembered as long as this process runs, so older ones cannot be told from used ones.
        is_current = made is not None and made * 1000 >= self._started_ms and time.time() < made + TICKET_S
        if not is_current or ticket in self._used:
            return False
        self._used.add(ticket)
        return True

    def _may_pass(self, scope: Scope, headers: Headers) -> bool:
        if self._site.checks_login or scope["path"] in self._site.open_paths:
            return True
        given = headers.get("authorization", "").encode("latin-1")
        if hmac.compare_digest(given, self._authorization):
            return True
        session = HTTPConnection(scope).cookies.get(self._cookie, "")
        made = signed_at(session, self._site.password, self._site.service, "session")
        return made is not None and time.time() < made + SESSION_S

    def _unknown(self, scope: Scope, headers: Headers) -> Response:
        if scope["type"] == "http" and "text/html" in headers.get("accept", ""):
            return HTMLResponse(_LOGIN, 401, _PRIVATE)
        return _problem(
            401,
            f"log in as {USER!r} with the password of the project's local platform; "
            "`mlp status --env` in the project prints it as environment variables.",
        )

    def _confined(self, send: Send) -> Send:
        async def confined(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", self._policy)
                message = {**message, "headers": [*message.get("headers", []), policy]}
            await send(message)

        return confined


def _name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _problem(status: int, detail: str) -> Response:
    # MLflow's client shows `message`, Prefect's `exception_message`.
    return JSONResponse({"status": status, "detail": detail, "message": detail}, status)


_PRIVATE = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
_HEAD = "<!doctype html><html lang=en><meta charset=utf-8><title>mlp</title><body style='font:1rem sans-serif'>"
_LOGIN = (
    f"{_HEAD}<p>Only the project's owner can see this page. Run <code>mlp status</code> in the project's folder, and "
    "open the link that it prints."
)
_OUTDATED = (
    f"{_HEAD}<p>This link was used before, or has expired. <code>mlp status</code> prints a new one. "
    '<p>If this browser is logged in: <a href="{page}">go on</a>.'
)
_WELCOME = f"""{_HEAD}<script nonce="{{nonce}}">
const [entries, page] = {{entries}};
for (const [key, value] of Object.entries(entries)) localStorage.setItem(key, value);
location.replace(page + location.hash);
</script>"""
