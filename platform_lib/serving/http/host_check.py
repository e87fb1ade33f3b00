"""Host and Origin of requests to a server on loopback: what a foreign web page sends is refused.

A page whose own name resolves to this machine (DNS rebinding) sends its name as Host; any other page its Origin.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from platform_lib.errors import UsageError
from platform_lib.serving.http.request_id import HEADER, request_id_from
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

    def refusal(self, scope: Scope) -> Problem | None:
        """Return why a request is refused; None if it is not."""
        host, origin = b"", None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                if value not in self._known and not self._accepts(value):
                    return Problem(
                        421,
                        f"this server is not called {value.decode('latin-1')!r:.100}; if a proxy sends this Host, "
                        "start `mlp serve` with --allowed-host.",
                    )
            elif name == b"origin":
                origin = value
        if origin is not None and scope["method"] not in _READING and not self._may_send(origin, host):
            return Problem(
                403,
                f"pages of {origin.decode('latin-1')!r:.100} must not send requests here.",
            )
        return None

    async def refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with the problem."""
        scope["request_id"] = request_id_from(b"")
        problem.headers[HEADER] = scope["request_id"]
        await problem_response(Request(scope), problem)(scope, receive, send)

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
