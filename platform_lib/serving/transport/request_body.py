"""Read the body of a request within the limits on content type, size and time."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import Receive

from platform_lib.serving.limits import Limits, byte_count
from platform_lib.serving.problems import Problem

_UNCOUNTED_BYTES = 64 * 2**10
"""Smaller bodies are not counted, so that large ones never keep them out. A connection may hold as much anyway."""

_MAX_LENGTH_DIGITS = 20
"""As many as 64 bits need."""


class BodyReader:
    """Reads bodies for one event loop, and bounds the memory of all bodies that its requests hold."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most_bytes = max(limits.body_memory_bytes, limits.max_body_bytes)
        self._held_bytes = 0
        self._deadlines = Deadlines()

    async def read(
        self, headers: Mapping[str, str], source: Receive | bytes, media_types: Sequence[str] = ("application/json",)
    ) -> bytes:
        """Return the body. The caller calls `release` once its request is answered.

        Args:
            headers: Of the request, names in lower case.
            source: The body, or the ASGI callable that receives it.
            media_types: Accepted content types.
        Raises:
            Problem: 413 too large, 415 not declared as one of `media_types`, 408 too slow, 400 interrupted, 503 the
                bodies of other requests need the memory.
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
        coding = headers.get("content-encoding")
        if coding is not None and coding.strip().lower() not in ("", "identity"):
            # A small compressed body could expand to a huge one. Without this check the error would be "not JSON".
            detail = f"the body is compressed with {coding!r:.40}; send it uncompressed, without Content-Encoding."
            raise Problem(415, detail, headers={"Accept-Encoding": "identity"})
        declared = headers.get("content-length")
        if declared is not None and len(declared) > _MAX_LENGTH_DIGITS:
            detail = f"Content-Length has {len(declared)} digits. Send the number of bytes without leading zeros."
            raise Problem(400, detail, headers={"Connection": "close"})
        if declared is not None and (byte_count(declared) or 0) > limits.max_body_bytes:
            raise self._too_large()
        if isinstance(source, bytes):
            if len(source) > limits.max_body_bytes:
                raise self._too_large()
            if len(source) > _UNCOUNTED_BYTES:
                self._hold(0, len(source))
            return source
        task = self._deadlines.begin(limits.body_timeout_s)
        try:
            return await self._read(source)
        except asyncio.CancelledError:
            if not self._deadlines.is_over(task):
                raise
            task.uncancel()
        finally:
            self._deadlines.end(task)
        raise Problem(
            408, f"the body did not arrive within {limits.body_timeout_s:g} seconds.", headers={"Connection": "close"}
        )

    def release(self, body: bytes) -> None:
        """Take a body that `read` returned out of the account."""
        if len(body) > _UNCOUNTED_BYTES:
            self._held_bytes -= len(body)

    def _hold(self, held: int, size: int) -> int:
        """Count a body that has grown from `held` counted bytes to `size` bytes; return how many are counted now."""
        if self._held_bytes + size - held > self._most_bytes:
            raise Problem(
                503,
                f"the server holds {self._held_bytes} bytes of other requests' bodies, and has room for "
                f"{self._most_bytes}. Retry in a second.",
                headers={"Retry-After": "1", "Connection": "close"},
            )
        self._held_bytes += size - held
        return size

    async def _read(self, receive: Receive) -> bytes:
        limit, held = self._limits.max_body_bytes, 0
        body: bytes | bytearray = b""
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Problem(400, "the connection closed before the body was complete.")
                part = message.get("body", b"")
                is_complete = not message.get("more_body", False)
                if not body and is_complete:
                    body = part
                else:
                    if isinstance(body, bytes):
                        body = bytearray(body)
                    body += part
                if len(body) > limit:
                    raise self._too_large()
                if len(body) > _UNCOUNTED_BYTES:
                    held = self._hold(held, len(body))
                if is_complete:
                    return bytes(body)
        except BaseException:
            self._held_bytes -= held
            raise

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
