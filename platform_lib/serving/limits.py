"""How much the server takes on at once: so many predictions, so many waiting, each for so long. What is beyond is told to come again."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from platform_lib.serving.problems import Problem

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one request may ask for, and what all of them together."""

    max_body_bytes: int = 16 * 2**20
    max_rows: int = 10_000
    concurrency: int = 4
    """Long predictions that are computed at the same time, each in a thread."""
    queue: int = 256
    """Requests that may wait for their turn."""
    request_timeout_s: float = 30.0
    """From a request's turn in the queue to its answer."""
    body_timeout_s: float = 20.0
    """For a request's whole body: a client that sends a byte a second is cut off."""


class PredictionTimeout(Problem):
    """503: the model took longer than a request may."""


class BoundedExecutor:
    """Counts who is in and runs long work in threads, within the limits. One event loop uses it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="predict")
        self._in_use = 0

    @property
    def in_use(self) -> int:
        """Requests that are computed or wait."""
        return self._in_use

    def acquire(self) -> None:
        """Take a place; `leave` gives it back.

        Raises:
            Problem: 503 at once where the queue is full; the caller may come again.
        """
        if self._in_use >= self._limits.concurrency + self._limits.queue:
            raise Problem(
                503,
                f"the server is busy with {self._in_use} requests. Come again in a second.",
                headers={"Retry-After": "1"},
            )
        self._in_use += 1

    def release(self) -> None:
        """Give a place back."""
        self._in_use -= 1

    def start(self, work: Callable[[], Result]) -> "asyncio.Future[Result]":
        """Begin the work in a thread, whoever has entered for it."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def timeout_problem(self) -> PredictionTimeout:
        """What a request is told whose time is over."""
        return PredictionTimeout(
            503,
            f"the model gave no answer within {self._limits.request_timeout_s:g} seconds.",
            headers={"Retry-After": "5"},
        )

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do work for one request in a thread.

        Raises:
            Problem: 503 at once where the queue is full, or after the time limit.
        """
        self.acquire()
        future = self.start(work)
        # A thread cannot be stopped: its place is taken until the work is done, whoever still waits for it.
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._limits.request_timeout_s)
        except TimeoutError as err:
            raise self.timeout_problem() from err

    def _finished(self, future: "asyncio.Future[Result]") -> None:
        self.release()
        if not future.cancelled():
            future.exception()  # it was told to whoever waited; nobody may be left to ask

    def close(self) -> None:
        """Take no more work; what runs comes to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
