"""Errors as RFC 9457 problem documents. They never contain stack traces, paths or secrets."""

import traceback
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


FRAMES = "Traceback (most recent call last):\n"
"""Begins the note that `without_frames` adds to an error."""


class Problem(Exception):
    """An error whose response is a problem document."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        """Create a problem.

        Args:
            status: HTTP status, 4xx or 5xx.
            detail: One or two sentences for the caller.
            headers: Further headers of the response.
        """
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def without_frames(error: BaseException) -> BaseException:
    """Drop the tracebacks of an error and its causes. For the log, that of its first cause becomes a note of its lines.

    A traceback holds the variables of all functions that it has passed and that called them: the rows of a whole batch,
    and the futures that hold the error itself, so that only a garbage collection would free them.
    """
    cause = error.__cause__ or error
    if not isinstance(cause, Problem):
        cause.add_note(FRAMES + "".join(traceback.format_tb(cause.__traceback__)).rstrip())
    chain = [error]
    while chain:
        current = chain.pop()
        if current.__traceback__ is not None:
            current.__traceback__ = None
            chain += [other for other in (current.__cause__, current.__context__) if other is not None]
    return error


def internal_error(headers: Mapping[str, str] | None = None) -> Problem:
    """Return the problem for an unexpected exception."""
    return Problem(
        500, "the server failed to handle this request. Its log has the details under the request id.", headers=headers
    )


def as_text(text: str) -> str:
    """Return a text that UTF-8 can encode: a lone surrogate, which JSON can hold, becomes its number."""
    return text.encode(errors="backslashreplace").decode()


def problem_response(request: Request, problem: Problem) -> Response:
    """Return the problem document, with the request's id."""
    detail = as_text(problem.detail)
    document = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": detail,
        "instance": request.url.path,
        "request_id": request.scope.get("request_id", ""),
    }
    if request.url.path.startswith("/v2"):
        document["error"] = detail  # clients of the Open Inference Protocol read this field
    return Response(msgspec.json.encode(document), problem.status, problem.headers, MEDIA_TYPE)
