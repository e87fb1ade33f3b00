"""Let only canonical requests through to MLflow, and keep what each one asks for, for the authorization.

Runs around MLflow's whole application. `mlflow_requests` and `mlflow_values` decide from values alone.
"""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import mlflow_requests
import mlflow_routes
import mlflow_values
from mlflow_requests import Canonical, UnusualRequest
from mlflow_routes import Route
from mlflow_rules import Access, Caller, identify

GROUPS_HEADER = "X-Auth-Request-Groups"
WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"
UNKNOWN = (
    "Unknown credentials. Set MLFLOW_TRACKING_USERNAME to the team's name and MLFLOW_TRACKING_PASSWORD to its password."
)
_ONCE = (b"authorization", b"content-type", GROUPS_HEADER.lower().encode(), WORKSPACE_HEADER.lower().encode())
_BODY_HEADERS = (b"content-type", b"content-length", b"transfer-encoding")

_log = logging.getLogger("mlp.access")
_Scope = MutableMapping[str, Any]
_Asgi = Callable[[_Scope, Any, Any], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A canonical request and who sent it."""

    caller: Caller
    request: Canonical

    @property
    def rule(self) -> str:
        """Of the route."""
        return str(self.request.route.rule)


_ASKED: ContextVar[Asked | None] = ContextVar("mlp_asked", default=None)


def asked(method: str, rule: str | None) -> Asked | None:
    """Return the request that is being handled; None if this route did not get it in canonical form."""
    found = _ASKED.get()
    same = found and (method, (rule or "").replace("/ajax-api/", "/api/", 1)) == (
        found.request.route.method,
        found.rule,
    )
    return found if same else None


def caller_of(access: Access, headers: Mapping[str, str]) -> Caller | None:
    """Identify the caller of a request from its headers, which the gate has checked."""
    from werkzeug.datastructures import Authorization

    shown = Authorization.from_header(headers.get("authorization"))
    user, password = (shown.username, shown.password) if shown is not None and shown.type == "basic" else (None, None)
    person = headers.get("x-auth-request-email") or headers.get("x-auth-request-user")
    return identify(access, user, password, headers.get(GROUPS_HEADER.lower(), ""), person)


def _own_host(host: bytes) -> bytes:
    """Replace an address in a Host header by `localhost`, which MLflow accepts.

    Prometheus scrapes pods by their addresses, in networks that nobody knows beforehand. MLflow's check of the header
    is against names of other domains that lead here, and an address is none.
    """
    text = host.decode("latin-1")
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return host
    return b"localhost:5000"


class Gate:
    """ASGI application in front of MLflow's."""

    def __init__(self, app: _Asgi, access: Callable[[], Access]) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
        """Pass a request on in canonical form, or respond with 4xx."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = [(name, _own_host(value) if name == b"host" else value) for name, value in scope["headers"]]
        _ASKED.set(None)  # a pipelined request inherits the context of the one before it
        # WSGI does not distinguish `X_A` from `X-A`, and joins repeated headers.
        names = [name.lower() for name, _ in scope["headers"]]
        if any(b"_" in name for name in names) or any(names.count(name) > 1 for name in _ONCE):
            await _respond(send, 400, "a header has an underscore in its name, or occurs twice.")
            return
        route = mlflow_routes.find_route(scope["method"], scope["path"])
        if route is None:  # teams get 403 from the authorization; administrators use all of MLflow
            await self._app(scope, receive, send)
            return
        caller = caller_of(self._access(), {name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
        if caller is None:  # before the body is read
            await _respond(send, 401, UNKNOWN)
            return
        try:
            body = b"" if route.takes_file else await _read(receive)
            request = await _canonical(route, scope, body, caller)
        except UnusualRequest as err:
            _log.warning(
                json.dumps(
                    {"who": caller.name, "method": scope["method"], "path": scope["path"], "refused": str(err)[:300]}
                )
            )
            await _respond(send, 400, f"{err}")
            return
        _ASKED.set(Asked(caller=caller, request=request))
        await self._app(
            _rewritten(scope, request), receive if request.body is None else _replay(request.body, receive), send
        )


async def _canonical(route: Route, scope: _Scope, body: bytes, caller: Caller) -> Canonical:
    headers = [(name.lower(), value) for name, value in scope["headers"]]

    def parse() -> Canonical:
        return mlflow_requests.canonical(
            route,
            raw_path=scope["raw_path"],
            path=scope["path"],
            query=scope["query_string"],
            headers=headers,
            body=body,
            message=mlflow_routes.messages().get((route.method, route.rule)),
        )

    request = parse() if len(body) < 2**16 else await asyncio.to_thread(parse)
    if route.rule.endswith("/model-versions/create"):
        request = _without_stamps(request)
    if mlflow_values.is_forged(route.rule, request.values):
        raise UnusualRequest(f"the tags {' and '.join(sorted(mlflow_values.STAMPS))} are written by this server only.")
    if not caller.is_admin and (problem := mlflow_values.problem(route.rule, request.values)):
        raise UnusualRequest(problem)
    return request


def _without_stamps(request: Canonical) -> Canonical:
    """Leave out who promoted another version: MLflow's `copy_model_version` sends all tags of the one it copies."""
    tags = request.values.get("tags", [])
    kept = [tag for tag in tags if tag.get("key") not in mlflow_values.STAMPS]
    if len(kept) == len(tags):
        return request
    values = {**request.values, "tags": kept}
    return replace(request, values=values, body=json.dumps(values).encode())


async def _read(receive: Any) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise UnusualRequest("the connection was closed before the end of the body.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > mlflow_requests.MAX_BODY:
            raise UnusualRequest(f"the body has more than {mlflow_requests.MAX_BODY} bytes: send less in one request.")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Any) -> Any:
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Any:
        return left.pop() if left else await receive()

    return received


def _rewritten(scope: _Scope, request: Canonical) -> _Scope:
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _BODY_HEADERS]
    if request.body is None:
        headers += [(name, value) for name, value in scope["headers"] if name.lower() in _BODY_HEADERS[1:]]
        headers.append((b"content-type", b"application/octet-stream"))
    elif request.route.method != "GET":
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(request.body)).encode())]
    return {**scope, "query_string": request.query, "headers": headers}


async def _respond(send: Any, status: int, text: str) -> None:
    """Respond as MLflow does, so that its clients show the sentence."""
    code = "INVALID_PARAMETER_VALUE" if status == 400 else "UNAUTHENTICATED"
    body = json.dumps({"error_code": code, "message": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="mlflow"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
