"""A cheap keep-alive HTTP connection, so that the benchmark measures the server and not the client."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import urlsplit


class Connection:
    """Sends request after request, and reconnects when the server closes the connection."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        """Prepare.

        Args:
            url: `http://host:port`.
            timeout_s: For a whole response; one that takes longer raises `TimeoutError`.
        """
        parts = urlsplit(url)
        self._host, self._port, self._timeout_s = str(parts.hostname), int(parts.port or 80), timeout_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Send one request.

        Returns:
            Status and body of the response.
        Raises:
            TimeoutError: The response was not complete in time.
            OSError, asyncio.IncompleteReadError: The connection broke.
        """
        async with asyncio.timeout(self._timeout_s):
            if self._reader is None or self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
            fields = {
                "Host": self._host,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **(headers or {}),
            }
            head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            self._writer.write(f"{head}\r\n".encode("latin-1") + body)
            head_back = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head_back.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            answer = await self._reader.readexactly(length)
            if b"connection: close" in head_back:
                self.close()
            return int(head_back.split(b" ", 2)[1]), answer
