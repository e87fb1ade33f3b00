"""A prediction route as a raw ASGI application, without the layers of middleware that other routes need.

It owns the HTTP around a prediction: headers, request id, problem documents, and a response to unexpected exceptions.
`handler` computes the rest of the response.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from platform_lib.serving.handler import RequestHandler
from platform_lib.serving.http.host_check import HostCheck
from platform_lib.serving.http.request_id import HEADER_BYTES, request_id_from
from platform_lib.serving.problems import Problem, internal_error, problem_response
from platform_lib.serving.protocols.codec import Codec, RequestHead
from platform_lib.serving.telemetry.logs import loggable
from platform_lib.serving.transport.direct_response import direct_response_of

log = logging.getLogger("platform_lib.serving")


class PredictionEndpoint:
    """Responds to `POST` at the paths of one codec, whether the server or a route of the application calls it."""

    def __init__(self, handler: RequestHandler, codec: Codec, host_check: HostCheck | None = None) -> None:
        self._handler, self._codec, self._host_check = handler, codec, host_check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        headers = HeaderView(scope["headers"])
        has_request_id = "request_id" in scope  # set by the middleware, which also adds the header
        if not has_request_id:
            scope["request_id"] = request_id_from(headers.raw.get(HEADER_BYTES, b""))
        request_id: str = scope["request_id"]
        if self._host_check is not None and (refusal := self._host_check.refusal("POST", headers.raw)) is not None:
            await _send_problem(refusal, scope, receive, send, has_request_id=has_request_id)
            return
        direct = None if has_request_id else direct_response_of(scope)
        body = direct.body() if direct is not None else None
        head = RequestHead(headers, scope.get("path_params", {}), request_id)
        try:
            response = await self._handler.predict(self._codec, head, receive if body is None else body)
        except Problem as problem:
            await _send_problem(problem, scope, receive, send, has_request_id=has_request_id)
            return
        except Exception as err:
            why = loggable(err, lambda: self._handler.source.current)
            log.error("request %s failed", request_id, exc_info=why, extra={"request_id": request_id})
            await _send_problem(internal_error(), scope, receive, send, has_request_id=has_request_id)
            return
        response_headers = [
            (b"content-length", b"%d" % len(response.body)),
            (b"content-type", response.media_type),
            *response.headers,
        ]
        if not has_request_id:
            response_headers.append((HEADER_BYTES, request_id.encode()))
        if direct is not None and direct.respond(
            b"".join([b"%b: %b\r\n" % header for header in response_headers]), response.body
        ):
            return
        await send({"type": "http.response.start", "status": 200, "headers": response_headers})
        await send({"type": "http.response.body", "body": response.body})


async def _send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send, *, has_request_id: bool) -> None:
    response = problem_response(Request(scope), problem)
    if not has_request_id:
        response.headers[HEADER_BYTES.decode()] = scope["request_id"]
    await response(scope, receive, send)


class HeaderView(Mapping[str, str]):
    """The headers of a request by their names in lower case, decoded on access. The first of equal names wins."""

    __slots__ = ("raw",)

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.raw = dict(headers[::-1])

    def __getitem__(self, name: str) -> str:
        return self.raw[name.encode("latin-1")].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default."""
        value = self.raw.get(name.encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self.raw)

    def __len__(self) -> int:
        return len(self.raw)


class DelegatedResponse(Response):
    """The return value of a route that lets an endpoint respond."""

    def __init__(self, endpoint: PredictionEndpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the endpoint respond."""
        await self._endpoint(scope, receive, send)
