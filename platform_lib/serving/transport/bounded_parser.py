"""Parse requests within bounds: heads, trailers and chunks' headers, `Upgrade` and CONNECT.

uvicorn alone would collect heads and trailers without a limit, and would take what follows a request with `Upgrade`
for another protocol.
"""

from abc import ABC, abstractmethod
from http import HTTPStatus

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from platform_lib.serving.problems import MEDIA_TYPE
from platform_lib.serving.transport.direct_response import EXTENSION
from platform_lib.serving.transport.uvicorn_response import UvicornDirectResponse

MAX_HEAD_BYTES = 64 * 2**10
"""Target and headers together: enough for the longest accepted token and for the headers that proxies add."""
MAX_HEADERS = 200


def _refusal(status: int, detail: str) -> bytes:
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = msgspec.json.encode(document)
    head = f"HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
    retry = "retry-after: 1\r\n" if status == 503 else ""
    return f"{head}{retry}connection: close\r\n\r\n".encode() + body


MALFORMED = _refusal(400, "the request is not valid HTTP/1.1.")
TOO_LATE = _refusal(408, "the head of the request did not arrive in time.")
TOO_LARGE = _refusal(
    431, f"the head or the trailers exceed {MAX_HEAD_BYTES} bytes or {MAX_HEADERS} headers. Send fewer headers."
)
TOO_BUSY = _refusal(503, "the server has no room for another connection. Retry in a second.")


class BoundedParser(HttpToolsProtocol, ABC):
    """The parsing half of a connection."""

    messages = 0
    """Requests that began on this connection."""
    held = 0
    """Bytes of an incomplete head, of trailers, or of a chunk's header: the parser reports each only once complete."""
    in_head = False
    in_body = False
    is_ending = False
    """Whether the connection closes after the next response."""
    is_stopped = False
    """Whether nothing more is read."""

    _has_progress = False
    """Whether the latest data completed more than a part of a head, of trailers, or of a chunk's header."""
    _size = 0
    """Of the latest data."""
    _trailers = 0
    _trailer_bytes = 0
    _is_too_large = False
    _plain_head = b""
    """The latest head with `Upgrade`, without it."""

    @abstractmethod
    def hold(self, size: int) -> None:
        """Set `held`."""

    @abstractmethod
    def fail(self, response: bytes) -> None:
        """Read nothing more; send this response after those of the requests before, then close."""

    def parse(self, data: bytes | memoryview) -> None:
        """Parse data; fail if they are not HTTP or exceed the limits."""
        self._has_progress = False
        self._size = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The parser stops after the head and takes the rest for another protocol. RFC 9110, 7.8: a server may
            # ignore Upgrade. So parse the same head without it, and then the body that its other headers announce.
            self.parser = httptools.HttpRequestParser(self)
            self.parse(self._plain_head)
            rest = memoryview(data)[upgrade.args[0] :]
            if rest and not self.is_stopped:
                self.parse(rest)
        except httptools.HttpParserError:
            self.fail(TOO_LARGE if self._is_too_large else MALFORMED)
        else:
            if self.in_head or not self._has_progress:
                self.hold(min(len(data), MAX_HEAD_BYTES) if self._has_progress else self.held + len(data))
                if self.held > 2 * MAX_HEAD_BYTES:
                    self.fail(TOO_LARGE)
            elif self.held:
                self.hold(0)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.in_head = self._has_progress = True
        self.messages += 1
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, within the limit on their number. A trailer is counted and ignored, as RFC 9110 allows."""
        if self.in_body:
            self._trailers += 1
            self._trailer_bytes += len(name) + len(value)
            if self._trailers > MAX_HEADERS or self._trailer_bytes > MAX_HEAD_BYTES:
                self._refuse_as_too_large()
            return
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._refuse_as_too_large()

    def on_headers_complete(self) -> None:
        """Check the size of the head, and offer the direct response."""
        self._has_progress = True
        # The sum takes a microsecond, and the bytes received so far are at least as many.
        if self.held + self._size > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._refuse_as_too_large()
        if self.parser.should_upgrade():
            self._plain_head = self._without_upgrade()
            return
        super().on_headers_complete()
        self.in_head, self.in_body = False, True
        if self.is_ending:
            self.cycle.keep_alive = False
        self.scope["extensions"] = {EXTENSION: UvicornDirectResponse(self.cycle)}  # type: ignore[dict-item]

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._has_progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, unless only its head with `Upgrade` has been parsed."""
        if self.parser.should_upgrade():
            return
        self.in_body, self._has_progress = False, True
        if self._trailers:
            self._trailers = self._trailer_bytes = 0
        super().on_message_complete()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_as_too_large(self) -> None:
        self._is_too_large = True
        raise httptools.HttpParserCallbackError("too large")

    def _without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":  # what follows belongs to a tunnel, so it is never read
            raise httptools.HttpParserCallbackError("CONNECT")
        start = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join((start, *lines, b"\r\n"))
