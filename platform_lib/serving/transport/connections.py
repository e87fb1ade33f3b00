"""HTTP connections: bounds on a request's head, which uvicorn would otherwise collect in memory without end, and a short way for whole requests.

Bodies are bounded by `body`, requests by `limits`.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from platform_lib.serving.transport.direct_response import EXTENSION

MAX_HEAD_BYTES = 64 * 2**10
"""Of a request's target and headers together: room for the longest token that is taken, and for what proxies add."""
MAX_HEADERS = 200

_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 to a head beyond the bounds, as soon as it is seen to be one, and closes the connection."""

    _in_head = True
    _has_begun_or_ended = False
    """Whether the data that came last hold more than a part of one head."""
    _is_refused = False
    _unfinished_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._has_begun_or_ended = not self._in_head
        super().data_received(data)
        # The parser tells of a header when it is complete; one without an end is seen by what came meanwhile.
        if self._in_head and not self._has_begun_or_ended:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > MAX_HEAD_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        self._in_head, self._unfinished_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._is_refused = True
            raise httptools.HttpParserCallbackError("too many headers")

    def on_headers_complete(self) -> None:
        self._in_head, self._has_begun_or_ended = False, True
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._is_refused = True
            raise httptools.HttpParserCallbackError("too many bytes")
        super().on_headers_complete()
        self.scope["extensions"] = {EXTENSION: DirectCycle(self.cycle)}  # type: ignore[dict-item]

    def send_400_response(self, msg: str) -> None:
        if self._is_refused:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()


class DirectCycle:
    """A request that is all here, and its answer in one piece: what uvicorn does in steps for both, which costs more than a prediction.

    Where anything is unusual it says so, and the ordinary way is taken.
    """

    __slots__ = ("_cycle",)

    _defaults: list[tuple[bytes, bytes]] | None = None
    _head = b""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def body(self) -> bytes | None:
        """The request's body; None where it must be waited for."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return None
        return bytes(cycle.body)

    def answer(self, headers: bytes, body: bytes) -> bool:
        """Answer with status 200.

        Args:
            headers: Lines that end in CR LF each, `content-length` among them.
        Returns:
            Whether it was sent; otherwise nothing was.
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
        """With uvicorn's own headers, a new list of which it makes each second, for the date."""
        if defaults is not cls._defaults:
            cls._defaults = defaults
            cls._head = b"HTTP/1.1 200 OK\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in defaults)
        return cls._head
