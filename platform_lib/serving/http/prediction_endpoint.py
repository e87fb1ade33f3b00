"""A prediction route as a raw ASGI application: from the request's messages to the answer's, without the layers that other routes need.

`handler` decides what is answered. This owns the HTTP around it: headers, the request's id, problem documents, and a last word on our own bugs.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from platform_lib.serving.handler import Read, RequestHandler, Write
from platform_lib.serving.http.request_id import HEADER_BYTES, request_id_from
from platform_lib.serving.problems import Problem, internal_error, problem_response
from platform_lib.serving.transport.direct_response import direct_response_of

log = logging.getLogger("platform_lib.serving")

Form = Callable[[Mapping[str, str], Mapping[str, str]], tuple[Read, Write]]
"""From headers and path parameters to what reads a request's body and writes its answer."""


class PredictionEndpoint:
    """Answers `POST` at one path, whoever calls it: the server directly, or a route of the application."""

    def __init__(self, handler: RequestHandler, protocol: str, media_types: Sequence[str], form: Form) -> None:
        """Prepare.

        Args:
            protocol: Its name in the metrics.
            media_types: What its bodies may be declared as.
        """
        self._exchange, self._protocol, self._media_types, self._form = handler, protocol, media_types, form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = HeaderView(scope["headers"])
        told = "request_id" in scope  # by the middleware, which also adds the header
        if not told:
            scope["request_id"] = request_id_from(headers.raw.get(HEADER_BYTES, b""))
        request_id: str = scope["request_id"]
        whole = None if told else direct_response_of(scope)
        try:
            read, write = self._form(headers, scope.get("path_params", {}))
            body = whole.body() if whole is not None else None
            written = await self._exchange.predict(
                headers, receive if body is None else body, request_id, self._protocol, self._media_types, read, write
            )
        except Problem as problem:
            await self._refuse(problem, scope, receive, send, told=told)
            return
        except Exception as err:
            log.error("request %s failed", request_id, exc_info=err, extra={"request_id": request_id})
            await self._refuse(internal_error(), scope, receive, send, told=told)
            return
        answer_headers = [
            (b"content-length", b"%d" % len(written.body)),
            (b"content-type", written.media_type),
            *written.headers,
        ]
        if not told:
            answer_headers.append((HEADER_BYTES, request_id.encode()))
        if whole is not None and whole.answer(
            b"".join([b"%b: %b\r\n" % header for header in answer_headers]), written.body
        ):
            return
        await send({"type": "http.response.start", "status": 200, "headers": answer_headers})
        await send({"type": "http.response.body", "body": written.body})

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send, *, told: bool) -> None:
        response = problem_response(Request(scope), problem)
        if not told:
            response.headers[HEADER_BYTES.decode()] = scope["request_id"]
        await response(scope, receive, send)


class HeaderView(Mapping[str, str]):
    """A request's headers by their names in lower case, decoded when they are asked for; of several with one name the first."""

    __slots__ = ("raw",)

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.raw = dict(headers[::-1])

    def __getitem__(self, name: str) -> str:
        return self.raw[name.encode("latin-1")].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        value = self.raw.get(name.encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self.raw)

    def __len__(self) -> int:
        return len(self.raw)


class DelegatedResponse(Response):
    """What a route of the application returns to let an endpoint answer."""

    def __init__(self, endpoint: PredictionEndpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint(scope, receive, send)


def no_parameters(read: Read, write: Write) -> Form:
    """The form of a protocol that needs nothing but bodies."""
    both = read, write

    def form(_headers: Mapping[str, str], _path: Mapping[str, Any]) -> tuple[Read, Write]:
        return both

    return form
