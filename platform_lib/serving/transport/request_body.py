"""Read the body of a request within the limits on content type, size and time."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import Receive

from platform_lib.serving.limits import Limits
from platform_lib.serving.problems import Problem

_MAX_LENGTH_DIGITS = 20
"""As many as 64 bits need. Python refuses to convert thousands of them."""


class BodyReader:
    """Reads bodies for one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadlines = Deadlines()

    async def read(
        self, headers: Mapping[str, str], source: Receive | bytes, media_types: Sequence[str] = ("application/json",)
    ) -> bytes:
        """Return the body.

        Args:
            headers: Of the request, names in lower case.
            source: The body, or the ASGI callable that receives it.
            media_types: Accepted content types.
        Raises:
            Problem: 413 too large, 415 not declared as one of `media_types`, 408 too slow, 400 interrupted.
        """
        limits = self._limits
        kind = headers.get("content-type", "")
        if kind not in media_types:
            kind = kind.split(";")[0].strip().lower()
            if kind not in media_types and not (kind.startswith("application/") and kind.endswith("+json")):
                raise Problem(
                    415,
                    f"the body is declared as {kind or 'nothing'!r:.80}, "
                    f"expected the header Content-Type: {media_types[0]}.",
                )
        if (coding := headers.get("content-encoding", "identity")) != "identity":
            # A small compressed body could expand to a huge one. Without this check the error would be "not JSON".
            detail = f"the body is compressed with {coding!r:.40}; send it uncompressed, without Content-Encoding."
            raise Problem(415, detail, headers={"Accept-Encoding": "identity"})
        declared = headers.get("content-length", "")
        if len(declared) > _MAX_LENGTH_DIGITS:
            detail = f"Content-Length has {len(declared)} digits. Send the number of bytes without leading zeros."
            raise Problem(400, detail, headers={"Connection": "close"})
        if declared.isdecimal() and int(declared) > limits.max_body_bytes:
            raise self._too_large()
        if isinstance(source, bytes):
            if len(source) > limits.max_body_bytes:
                raise self._too_large()
            return source
        task = self._deadlines.begin(limits.body_timeout_s)
        try:
            return await self._read(source)
        except asyncio.CancelledError:
            if not self._deadlines.is_over(task):
                raise
            task.uncancel()
            late = Problem(
                408,
                f"the body did not arrive within {limits.body_timeout_s:g} seconds.",
                headers={"Connection": "close"},
            )
        finally:
            self._deadlines.end(task)
        raise late

    async def _read(self, receive: Receive) -> bytes:
        limit = self._limits.max_body_bytes
        message = await receive()
        if (
            message["type"] == "http.request"
            and not message.get("more_body", False)
            and len(message.get("body", b"")) <= limit
        ):
            return bytes(message.get("body", b""))
        body = bytearray()
        while True:
            if message["type"] != "http.request":
                raise Problem(400, "the connection closed before the body was complete.")
            body += message.get("body", b"")
            if len(body) > limit:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)
            message = await receive()

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"the body is larger than {self._limits.max_body_bytes} bytes. Send fewer rows per request.",
            headers={"Connection": "close"},
        )


class Deadlines:
    """Cancels tasks that take too long. One timer serves them all: one each costs more than a small prediction."""

    def __init__(self) -> None:
        self._until: dict[asyncio.Task[Any], float] = {}
        self._over: set[asyncio.Task[Any]] = set()
        self._is_watching = False

    def begin(self, seconds: float) -> "asyncio.Task[Any]":
        """Give the current task this much time, up to a tenth more."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._until[task] = loop.time() + seconds
        if not self._is_watching:
            self._is_watching = True
            loop.call_later(seconds / 10, self._watch, loop, seconds / 10)
        return task

    def end(self, task: "asyncio.Task[Any]") -> None:
        """Remove a task that is done."""
        self._until.pop(task, None)
        self._over.discard(task)

    def is_over(self, task: "asyncio.Task[Any]") -> bool:
        """Return whether the task was cancelled for its deadline."""
        return task in self._over

    def _watch(self, loop: asyncio.AbstractEventLoop, every_s: float) -> None:
        now = loop.time()
        for task in [task for task, until in self._until.items() if until <= now]:
            del self._until[task]
            self._over.add(task)
            task.cancel()
        self._is_watching = bool(self._until)
        if self._is_watching:
            loop.call_later(every_s, self._watch, loop, every_s)
