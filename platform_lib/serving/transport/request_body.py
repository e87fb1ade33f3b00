"""Read a request's body within its limits: declared kind, bytes and time."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import Receive

from platform_lib.serving.limits import Limits
from platform_lib.serving.problems import Problem

JSON_TYPES = ("application/json",)


class BodyReader:
    """Reads bodies for one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadlines = Deadlines()

    async def read(
        self, headers: Mapping[str, str], source: Receive | bytes, media_types: Sequence[str] = JSON_TYPES
    ) -> bytes:
        """The body, read no further and no longer than the limits.

        Args:
            headers: Of the request, names in lower case.
            source: Gives it, or is it where it is all here.
            media_types: What it may be declared as.
        Raises:
            Problem: 413 too large, 415 not declared as one of `media_types`, 408 too slow, 400 broken off.
        """
        limits = self._limits
        kind = headers.get("content-type", "")
        if kind not in media_types:
            kind = kind.split(";")[0].strip().lower()
            if kind not in media_types and not (kind.startswith("application/") and kind.endswith("+json")):
                raise Problem(
                    415,
                    f"the body is declared as {kind or 'nothing'!r:.80}, expected the header Content-Type: {media_types[0]}.",
                )
        if (coding := headers.get("content-encoding", "identity")) != "identity":
            # Unpacking would let a small body become a huge one; without this the caller would read that the body is no JSON.
            told = f"the body is packed with {coding!r:.40}; send it as it is, without Content-Encoding."
            raise Problem(415, told, headers={"Accept-Encoding": "identity"})
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limits.max_body_bytes:
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
                raise Problem(400, "the request broke off.")
            body += message.get("body", b"")
            if len(body) > limit:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)
            message = await receive()

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"the body is larger than {self._limits.max_body_bytes} bytes. Send fewer rows a request.",
            headers={"Connection": "close"},
        )


class Deadlines:
    """Cancels tasks that take too long, by one timer for all of them: a timer each costs more than a small prediction."""

    def __init__(self) -> None:
        self._until: dict[asyncio.Task[Any], float] = {}
        self._over: set[asyncio.Task[Any]] = set()
        self._is_watching = False

    def begin(self, seconds: float) -> "asyncio.Task[Any]":
        """The present task may take so long from now on, and up to a tenth of that longer."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._until[task] = loop.time() + seconds
        if not self._is_watching:
            self._is_watching = True
            loop.call_later(seconds / 10, self._watch, loop, seconds / 10)
        return task

    def end(self, task: "asyncio.Task[Any]") -> None:
        """It is done."""
        self._until.pop(task, None)
        self._over.discard(task)

    def is_over(self, task: "asyncio.Task[Any]") -> bool:
        """Whether its time was over."""
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
