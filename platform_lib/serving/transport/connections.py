"""HTTP connections: one request at a time, and bounds on what arrives before its turn.

`bounded_parser` limits heads and trailers, `connection_watch` time and number of connections, `request_body` bodies,
and `limits` the number of requests.
"""

from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from platform_lib.serving.transport.bounded_parser import TOO_BUSY, TOO_LATE, BoundedParser
from platform_lib.serving.transport.connection_watch import ConnectionLimits, ConnectionWatch, Phase

_HEAD_END = b"\r\n\r\n"
_PIECE_BYTES = 128
"""Data that may hold several requests are parsed in pieces, so that few requests begin before the first is answered."""
_LINGER_S = 0.25
"""How long an idle connection stays open after SIGTERM, for a request that is on its way."""


def connection_class(limits: ConnectionLimits | None = None) -> "partial[BoundedProtocol]":
    """Return what creates a server's connections. It can be sent to worker processes; each then watches its own."""
    return partial(BoundedProtocol, watch=ConnectionWatch(limits))


class _Flow(FlowControl):
    """Reads nothing more while requests are queued, or when the rest is ignored."""

    def __init__(self, transport: Any, connection: "BoundedProtocol") -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        """Read again, if that is possible and wanted."""
        connection = self._connection
        if not (connection.pipeline or connection.is_stopped or connection.transport.is_closing()):
            super().resume_reading()


class BoundedProtocol(BoundedParser):
    """One connection: one request at a time, with bounds on everything that arrives before its turn."""

    _unread = bytearray()
    """What was received and not parsed yet."""
    _last_words = b""
    """Once nothing more is read: what is sent when all requests are answered."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
        *,
        watch: ConnectionWatch | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._watch = watch or ConnectionWatch()

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)
        self._watch.add(self)
        if self._watch.is_ending:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and drop what was pending."""
        self._watch.remove(self)
        self._drop_pending()
        super().connection_lost(exc)
        self.pipeline.clear()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep a connection whose client only ended its own direction until its complete requests are answered."""
        if not self._is_answering() or self.in_body:
            return False
        self._end_after_responses()
        return True

    # What arrives

    def data_received(self, data: bytes) -> None:
        """Parse data; with several heads in them, only until a request has to wait for another."""
        if self.is_stopped:
            return
        if self._unread or data.count(_HEAD_END) > 1:
            self._unread = self._unread + data
            self._watch.count_pending(len(data))
            self._parse_unread()
        else:
            self.parse(data)

    def _parse_unread(self) -> None:
        while self._unread and not self.pipeline and not self.transport.is_closing():
            piece = bytes(self._unread[:_PIECE_BYTES])
            del self._unread[:_PIECE_BYTES]
            self._watch.count_pending(-len(piece))
            self.parse(piece)
        if self._unread:
            self.flow.pause_reading()

    def hold(self, size: int) -> None:
        """Count what an incomplete head holds."""
        change, self.held = size - self.held, size
        self._watch.count_pending(change)

    # Responses

    def on_response_complete(self) -> None:
        """Start the next request that waits, or drop what the last one held, since the connection may idle for long."""
        if self.pipeline:
            super().on_response_complete()
        else:
            if not (self.in_head or self.in_body):
                self.cycle = self.scope = self.headers = None  # type: ignore[assignment]
            else:
                self.cycle.body.clear()
            if self.is_stopped:
                self._say_last_words()
        if self._unread:
            self._parse_unread()
        if self.flow.read_paused:
            self.flow.resume_reading()

    def _is_answering(self) -> bool:
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def fail(self, response: bytes) -> None:
        """Read nothing more; send this response after those of the requests before, then close."""
        is_waiting = self._is_answering()
        if self.in_body:
            # It responds to the request whose body is broken, unless that has a response.
            broken, is_waiting = self.cycle, False
            if broken.response_started:
                response = b""
            if self.pipeline:
                self.pipeline.popleft()
                is_waiting = True
            broken.disconnected = True
            broken.message_event.set()
        self._stop(response)
        if not is_waiting:
            self._say_last_words()

    def _end_after_responses(self) -> None:
        self.cycle.keep_alive = False
        self._stop(b"")

    def _stop(self, last_words: bytes) -> None:
        self.is_stopped, self._last_words = True, last_words
        self._drop_pending()
        self.flow.pause_reading()

    def _say_last_words(self) -> None:
        if not self.transport.is_closing():
            if self._last_words:
                self.transport.write(self._last_words)
            self.transport.close()

    def _drop_pending(self) -> None:
        self._watch.count_pending(-self.pending_bytes)
        self.held, self._unread = 0, bytearray()

    # What the watch asks

    @property
    def pending_bytes(self) -> int:
        """Bytes held of an incomplete head and of requests that were sent ahead of their turn."""
        return self.held + len(self._unread)

    def phase(self) -> Phase:
        """Return what the connection is waiting for."""
        if self.transport.is_closing():
            return Phase.CLOSING
        if self.transport.get_write_buffer_size():
            return Phase.WRITING
        if self._is_answering():
            return Phase.BUSY
        if self.in_head or self.in_body:
            return Phase.HEAD if self.in_head else Phase.REST
        return Phase.IDLE if self.messages else Phase.NEW

    def expire(self, phase: Phase) -> None:
        """Close the connection, whose time in this phase is over or which must make room."""
        if phase is Phase.HEAD:
            self.fail(TOO_LATE)
        elif phase in (Phase.CLOSING, Phase.WRITING):
            self.transport.abort()
        else:
            self.transport.close()

    def shed(self) -> None:
        """Drop what is pending: respond to the requests that have begun, then close."""
        if self._is_answering() and not self.in_body:
            self._end_after_responses()
        else:
            self.fail(TOO_BUSY)

    def reject(self) -> None:
        """Close a connection that is one too many."""
        self._stop(TOO_BUSY)
        self._say_last_words()

    # Shutdown

    def shutdown(self) -> None:
        """Respond to the requests that have begun, and close. An idle connection may have one on its way."""
        self._watch.is_ending = self.is_ending = True
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_LINGER_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self._is_answering():
            self.transport.close()
