"""An ASGI extension between `connections` and the prediction endpoints: request body and response in one piece each.

Middleware that must see every message removes the extension from the scope.
"""

from typing import Protocol

from starlette.types import Scope

EXTENSION = "mlp.direct_response"
"""Key in `scope["extensions"]`."""


class DirectResponse(Protocol):
    """A request body that has already arrived, and a response that is sent with one call."""

    def body(self) -> bytes | None:
        """Return the request's body; None if it has not arrived completely."""

    def respond(self, headers: bytes, body: bytes) -> bool:
        """Send a response with status 200 and these header lines; False if the response must use ASGI messages."""


def direct_response_of(scope: Scope) -> DirectResponse | None:
    """Return the extension; None if the server does not provide it."""
    extensions = scope.get("extensions")
    direct: DirectResponse | None = extensions.get(EXTENSION) if extensions else None
    return direct


def without_direct_response(scope: Scope) -> Scope:
    """Return the scope for an application whose messages must all be seen."""
    extensions = {name: value for name, value in (scope.get("extensions") or {}).items() if name != EXTENSION}
    return {**scope, "extensions": extensions}
