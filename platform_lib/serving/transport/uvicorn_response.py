"""The direct response of `direct_response`, on the parts of uvicorn's request."""

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


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
