"""Cross-origin requests: which other origins' pages may call the server from a browser. None by default."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Inference-Header-Content-Length",
    "Traceparent",
    "Tracestate",
    "X-API-Key",
    "X-Request-ID",
    "X-Sticky-Id",
)
_RESPONSE_HEADERS = ("Inference-Header-Content-Length", "Retry-After", "X-Request-ID")
_MAX_AGE_S = 600
_CHECKED = "mlp.cors_checked"


def cors_middleware(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return the application with the headers that let pages of these origins read its responses.

    Credentials of the browser, such as cookies, stay closed: the server accepts keys and tokens in headers only.
    """
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_RESPONSE_HEADERS,
        max_age=_MAX_AGE_S,
    )


def is_cross_origin(scope: Scope) -> bool:
    """Return whether a page sent the request, and `checked` has not marked it: browsers then name its origin."""
    return _CHECKED not in scope and any(name == b"origin" for name, _ in scope["headers"])


def checked(scope: Scope) -> Scope:
    """Return the scope of a request that passes the middleware now."""
    return {**scope, _CHECKED: True}
