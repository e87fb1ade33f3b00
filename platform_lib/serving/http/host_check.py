"""Host and Origin of requests to a server on loopback: what a foreign web page sends is refused.

A page whose own name resolves to this machine (DNS rebinding) sends its name as Host; any other page its Origin.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from platform_lib.errors import UsageError
from platform_lib.serving.problems import Problem, problem_response

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_READING = ("GET", "HEAD", "OPTIONS")
_MAX_KNOWN = 256


class HostCheck:
    """Decides by the headers of a request whether this server is meant, and whether a foreign page sends it."""

    def __init__(self, hosts: Iterable[str], origins: Collection[str] = ()) -> None:
        """Create a check.

        Args:
            hosts: Names by which the server is called, without ports; any port is right.
            origins: Origins of pages that may send requests, such as `https://shop.example.com`; `*` is every page.
        """
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)
        self._known: set[bytes] = set()
        """Accepted Host headers as they came: a lookup instead of parsing for every further request."""

    def refusal(self, method: str, headers: Mapping[bytes, bytes]) -> Problem | None:
        """Return why a request is refused; None if it is not.

        Args:
            method: Of the request.
            headers: Its headers, with names in lower case.
        """
        host = headers.get(b"host")
        if host is not None and host not in self._known and not self._accepts(host):
            return Problem(
                421,
                f"this server is not called {host.decode('latin-1')!r:.100}; if a proxy sends this Host, "
                "start `mlp serve` with --allowed-host.",
            )
        origin = headers.get(b"origin")
        if origin is not None and method not in _READING and not self._may_send(origin, host or b""):
            return Problem(
                403,
                f"pages of {origin.decode('latin-1')!r:.100} may not send requests here; "
                "start `mlp serve` with --cors-origin to allow them.",
            )
        return None

    def _accepts(self, host: bytes) -> bool:
        if _without_port(host.decode("latin-1").lower()) not in self._hosts:
            return False
        if len(self._known) < _MAX_KNOWN:
            self._known.add(host)
        return True

    def _may_send(self, origin: bytes, host: bytes) -> bool:
        text = origin.decode("latin-1")
        if "*" in self._origins or text in self._origins:
            return True
        authority = text.partition("://")[2].lower()
        if authority and authority == host.decode("latin-1").lower():
            return True
        # A proxy may replace Host. Loopback names say nothing here: every user of this machine can serve pages there.
        return _without_port(authority) in self._hosts.difference(LOOPBACK_NAMES)


class HostCheckMiddleware:
    """Asks the check before all routes. The prediction endpoints ask it themselves, without this layer."""

    def __init__(self, app: ASGIApp, check: HostCheck) -> None:
        self._app, self._check = app, check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        refusal = self._check.refusal(scope["method"], dict(scope["headers"])) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(Request(scope), refusal)(scope, receive, send)


def _without_port(authority: str) -> str:
    name, colon, port = authority.rpartition(":")
    return name if colon and port.isdigit() else authority


def names_on(host: str, allowed: Iterable[str]) -> tuple[str, ...] | None:
    """Return the names by which a server is called; None if it need not check them, because callers need keys.

    Args:
        host: The address that the server listens on.
        allowed: Further names, of `--allowed-host`.
    Raises:
        UsageError: A name is none, or the address is not loopback.
    """
    further = tuple(allowed)
    for name in further:
        if not _HOST_NAME.fullmatch(name):
            raise UsageError(f"--allowed-host is {name!r}, expected a host name without scheme, port and path.")
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        if further:
            raise UsageError(f"--allowed-host is for servers on loopback only; --host {host} accepts every Host.")
        return None
    return (*LOOPBACK_NAMES, f"[{host}]" if ":" in host else host, *further)
