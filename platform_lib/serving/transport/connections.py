"""HTTP connections: a limit on the size of a request's head, and a short path for complete requests.

uvicorn alone would collect a head without a limit. `request_body` limits bodies, `limits` the number of requests.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from platform_lib.serving.transport.direct_response import EXTENSION

MAX_HEAD_BYTES = 64 * 2**10
"""Target and headers together: enough for the longest accepted token and for the headers that proxies add."""
MAX_HEADERS = 200

_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Responds with 431 to a head beyond the limits as soon as it exceeds them, and closes the connection."""

    _in_head = True
    _has_begun_or_ended = False
    """Whether the latest data contain more than a part of one head."""
    _is_refused = False
    _unfinished_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse data, and count the bytes of an incomplete head."""
        self._has_begun_or_ended = not self._in_head
        super().data_received(data)
        # The parser reports a header once it is complete, so count the bytes of one that never ends.
        if self._in_head and not self._has_begun_or_ended:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > MAX_HEAD_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head, self._unfinished_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Check the number of headers."""
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._is_refused = True
            raise httptools.HttpParserCallbackError("too many headers")

    def on_headers_complete(self) -> None:
        """Check the size of the head, and offer the direct response."""
        self._in_head, self._has_begun_or_ended = False, True
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._is_refused = True
            raise httptools.HttpParserCallbackError("too many bytes")
        super().on_headers_complete()
        self.scope["extensions"] = {EXTENSION: UvicornDirectResponse(self.cycle)}  # type: ignore[dict-item]

    def send_400_response(self, msg: str) -> None:
        """Send 431 instead if the head was too large."""
        if self._is_refused:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()


class UvicornDirectResponse:
    """Reads a body and sends a response in one step each. uvicorn's own steps cost more than a prediction.

    If anything is unusual it declines, and the request continues with ASGI messages.
    """

    __slots__ = ("_cycle",)

    _defaults: list[tuple[bytes, bytes]] | None = None
    _head = b""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def body(self) -> bytes | None:
        """Return the request's body; None if it has not arrived completely."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return None
        return bytes(cycle.body)

    def respond(self, headers: bytes, body: bytes) -> bool:
        """Send a response with status 200.

        Args:
            headers: Lines that end in CR LF each, including `content-length`.
            body: The whole body.
        Returns:
            Whether the response was sent; otherwise nothing was.
        """
        cycle = self._cycle
        if (
            cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or cycle.flow.write_paused
            or cycle.transport.is_closing()
        ):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.transport.write(b"".join((self._status_line(cycle.default_headers), headers, b"\r\n", body)))
        cycle.on_response()
        return True

    @classmethod
    def _status_line(cls, defaults: list[tuple[bytes, bytes]]) -> bytes:
        """The status line and uvicorn's own headers. uvicorn creates a new list of them each second, for the date."""
        if defaults is not cls._defaults:
            cls._defaults = defaults
            cls._head = b"HTTP/1.1 200 OK\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in defaults)
        return cls._head
