"""Limits of the server: sizes, concurrent predictions, queue length and time. Requests beyond the queue get 503."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from platform_lib.serving import settings
from platform_lib.serving.problems import Problem

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits per request and for all requests together."""

    max_body_bytes: int = int(settings.MAX_BODY_MIB * 2**20)
    body_memory_bytes: int = int(settings.BODY_MEMORY_MIB * 2**20)
    """Bodies in memory at the same time, without those of up to 64 KiB. One body of the maximum size always fits."""
    max_rows: int = settings.MAX_ROWS
    concurrency: int = settings.CONCURRENCY
    """Long predictions that run concurrently, each in a thread."""
    queue: int = settings.QUEUE
    """Requests that may wait for one of those threads."""
    request_timeout_s: float = settings.REQUEST_TIMEOUT_S
    """From the time a request is queued to its response."""
    body_timeout_s: float = settings.BODY_TIMEOUT_S
    """For the whole body of a request, so that a client that sends one byte per second is cut off."""


def byte_count(header: str) -> int | None:
    """Return the number of bytes that a header gives; None if it gives no number.

    Python converts no more than 4,300 digits, so a number that no body reaches becomes 10^18.
    """
    if not (header.isascii() and header.isdigit()):
        return None
    digits = header.lstrip("0")
    return int(digits or "0") if len(digits) <= 18 else 10**18


class PredictionTimeout(Problem):
    """503: the model took longer than a request may take."""


class BoundedExecutor:
    """Runs long work in threads, and counts the requests that run or wait. Used by one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="predict")
        self._in_use = 0

    @property
    def in_use(self) -> int:
        """Requests that run or wait."""
        return self._in_use

    def acquire(self) -> None:
        """Take a place, until `release`.

        Raises:
            Problem: 503 at once if the queue is full; the caller may retry.
        """
        if self._in_use >= self._limits.concurrency + self._limits.queue:
            raise Problem(
                503,
                f"the server is busy with {self._in_use} requests. Retry in a second.",
                headers={"Retry-After": "1"},
            )
        self._in_use += 1

    def release(self) -> None:
        """Give a place back."""
        self._in_use -= 1

    def start(self, work: Callable[[], Result]) -> "asyncio.Future[Result]":
        """Start work in a thread. The caller has acquired a place."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def timeout_problem(self) -> PredictionTimeout:
        """Return the problem for a request that took too long."""
        return PredictionTimeout(
            503,
            f"the model gave no answer within {self._limits.request_timeout_s:g} seconds.",
            headers={"Retry-After": "5"},
        )

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run work for one request in a thread.

        Raises:
            Problem: 503 at once if the queue is full, or after the time limit.
        """
        self.acquire()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        # A thread cannot be stopped: it occupies its place until the work is done, even if the request timed out.
        self.start(work).add_done_callback(partial(self._finished, result))
        timer = loop.call_later(self._limits.request_timeout_s, self._expire, result)
        try:
            return await result
        finally:
            timer.cancel()
            # The error's traceback holds this frame: with the future that holds the error, it would be a cycle.
            del result

    def _finished(self, result: "asyncio.Future[Result]", work: "asyncio.Future[Result]") -> None:
        self.release()
        if work.cancelled():
            result.cancel()
            return
        error = work.exception()  # marks it as retrieved; the request may be gone
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(work.result())

    def _expire(self, result: "asyncio.Future[Result]") -> None:
        if not result.done():
            result.set_exception(self.timeout_problem())

    def close(self) -> None:
        """Accept no more work. Running work completes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
