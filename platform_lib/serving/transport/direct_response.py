"""An extension of ASGI between our connections and our prediction endpoints; whatever stands between them and must see messages takes it out."""

from typing import Protocol

from starlette.types import Scope

EXTENSION = "mlp.whole"
"""In `scope["extensions"]`."""


class DirectResponse(Protocol):
    """A request and its answer, each in one piece."""

    def body(self) -> bytes | None:
        """The request's body; None where it must be waited for."""

    def answer(self, headers: bytes, body: bytes) -> bool:
        """Answer with status 200 and these header lines; False where the ordinary way has to be taken."""


def direct_response_of(scope: Scope) -> DirectResponse | None:
    """The extension, where the server has it."""
    extensions = scope.get("extensions")
    whole: DirectResponse | None = extensions.get(EXTENSION) if extensions else None
    return whole


def without_direct_response(scope: Scope) -> Scope:
    """The scope for an application all of whose messages must be seen."""
    return {
        **scope,
        "extensions": {name: value for name, value in (scope.get("extensions") or {}).items() if name != EXTENSION},
    }
