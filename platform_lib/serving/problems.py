"""Errors as RFC 9457 problem documents. They never contain stack traces, paths or secrets."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


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


def internal_error(headers: Mapping[str, str] | None = None) -> Problem:
    """Return the problem for an unexpected exception."""
    return Problem(
        500, "the server failed to handle this request. Its log has the details under the request id.", headers=headers
    )


def problem_response(request: Request, problem: Problem) -> Response:
    """Return the problem document, with the request's id."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "request_id": request.scope.get("request_id", ""),
    }
    if request.url.path.startswith("/v2"):
        document["error"] = problem.detail  # clients of the Open Inference Protocol read this field
    return Response(msgspec.json.encode(document), problem.status, problem.headers, MEDIA_TYPE)
