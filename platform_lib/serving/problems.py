"""Errors as RFC 9457 problem documents: what was wrong, where, and what to do; never a stack, a path or a secret."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is answered with a problem document."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        """Describe it.

        Args:
            status: HTTP status, 4xx or 5xx.
            detail: One sentence or two for the caller.
        """
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def internal_error(headers: Mapping[str, str] | None = None) -> Problem:
    """What a caller is told of a bug of ours."""
    return Problem(
        500, "the server failed at this request; its log has the details under the request id.", headers=headers
    )


def problem_response(request: Request, problem: Problem) -> Response:
    """The document, with the request's id."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "request_id": request.scope.get("request_id", ""),
    }
    if request.url.path.startswith("/v2"):
        document["error"] = problem.detail  # the Open Inference Protocol's clients look here
    return Response(msgspec.json.encode(document), problem.status, problem.headers, MEDIA_TYPE)
