"""Bounds on the connections of a worker: how long each may wait, how many there are, and how much they hold.

One timer serves all connections, and a connection's progress is read from its state: that costs a request nothing.
"""

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from platform_lib.serving import settings


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits:
    """Limits per connection, and for all connections of a worker together."""

    head_timeout_s: float = settings.HEAD_TIMEOUT_S
    body_timeout_s: float = settings.BODY_TIMEOUT_S
    """For the rest of a body whose response is already sent; `request_body` limits the others."""
    keep_alive_s: float = settings.KEEP_ALIVE_S
    write_timeout_s: float = settings.WRITE_TIMEOUT_S
    max_connections: int = settings.MAX_CONNECTIONS
    max_pending_bytes: int = int(settings.MAX_PENDING_MIB * 2**20)


class Phase(IntEnum):
    """What a connection is waiting for. Where room is needed, the first phases are closed first."""

    NEW = 0
    """Its first request."""
    HEAD = 1
    """The rest of a head."""
    REST = 2
    """The rest of a body whose response is already sent."""
    IDLE = 3
    """Its next request."""
    CLOSING = 4
    """The client reads the last response."""
    WRITING = 5
    """The client reads a response."""
    BUSY = 6
    """The application."""


class Watched(Protocol):
    """A connection, as the watch sees it."""

    messages: int
    """Requests that began on it."""

    @property
    def pending_bytes(self) -> int:
        """Bytes held of an incomplete head and of requests that were sent ahead of their turn."""

    def phase(self) -> Phase:
        """Return what the connection is waiting for."""

    def expire(self, phase: Phase) -> None:
        """Close the connection, whose time in this phase is over or which must make room."""

    def shed(self) -> None:
        """Drop what is pending: respond to the requests that have begun, then close."""

    def reject(self) -> None:
        """Close a connection that is one too many."""


@dataclass(slots=True)
class _Seen:
    phase: Phase
    messages: int
    since: float


class ConnectionWatch:
    """Watches the connections of one event loop."""

    is_ending = False
    """Whether the server is shutting down."""

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self._limits = bounds = limits or ConnectionLimits()
        self._timeouts: dict[Phase, float] = {
            Phase.NEW: bounds.keep_alive_s,
            Phase.HEAD: bounds.head_timeout_s,
            Phase.REST: bounds.body_timeout_s,
            Phase.IDLE: bounds.keep_alive_s,
            Phase.CLOSING: bounds.write_timeout_s,
            Phase.WRITING: bounds.write_timeout_s,
        }
        self._tick_s = min(1.0, min(self._timeouts.values()) / 4)
        self._seen: dict[Watched, _Seen] = {}
        self._pending_bytes = 0
        self._is_running = False

    def add(self, connection: Watched) -> None:
        """Watch a new connection. If there are too many, close idle ones, or this one if none is idle."""
        if len(self._seen) >= self._limits.max_connections and not self._make_room():
            connection.reject()
        loop = asyncio.get_running_loop()
        self._seen[connection] = _Seen(Phase.NEW, 0, loop.time())
        if not self._is_running:
            self._is_running = True
            loop.call_later(self._tick_s, self._sweep, loop)

    def remove(self, connection: Watched) -> None:
        """Forget a connection that is closed."""
        self._seen.pop(connection, None)

    def count_pending(self, change: int) -> None:
        """Count bytes that a connection holds, or gives up. If there are too many, the oldest are dropped."""
        self._pending_bytes += change
        if change > 0 and self._pending_bytes > self._limits.max_pending_bytes:
            holders = [connection for connection in self._seen if connection.pending_bytes]
            for connection in sorted(holders, key=lambda connection: self._seen[connection].since):
                if self._pending_bytes <= self._limits.max_pending_bytes * 3 // 4:
                    break
                connection.shed()

    def _make_room(self) -> bool:
        """Close the connections that waited longest, some more than needed, so that this is seldom; False if none."""
        idle = [(phase, seen.since, connection) for connection, seen in self._seen.items()
                if (phase := connection.phase()) <= Phase.IDLE]  # fmt: skip
        idle.sort(key=lambda each: each[:2])
        for phase, _, connection in idle[: 1 + len(idle) // 32]:
            connection.expire(phase)
            self.remove(connection)
        return bool(idle)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection, seen in list(self._seen.items()):
            phase, messages = connection.phase(), connection.messages
            if phase is not seen.phase or messages != seen.messages:
                seen.phase, seen.messages, seen.since = phase, messages, now
            elif now - seen.since >= self._timeouts.get(phase, float("inf")):
                connection.expire(phase)
        self._is_running = bool(self._seen)
        if self._is_running:
            loop.call_later(self._tick_s, self._sweep, loop)
