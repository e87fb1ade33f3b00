"""Ask again and again in a thread: with jitter, so that many servers do not ask at once, and less often while nobody answers."""

import logging
import random
import threading
from collections.abc import Callable

log = logging.getLogger("platform_lib.serving")


class PollingThread:
    """Calls `ask` in a thread of its own until it is stopped."""

    def __init__(self, name: str, ask: Callable[[], bool], *, every_s: float, longest_s: float) -> None:
        """Prepare; `start` begins.

        Args:
            name: Of the thread.
            ask: Says whether there was an answer.
            every_s: Seconds between two calls, give or take a fifth; each call without an answer doubles them.
            longest_s: They become no longer than this by that.
        """
        self._name, self._ask, self._every_s, self._longest_s = name, ask, every_s, longest_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more once the call under way has come back."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the call under way."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                failures = 0 if self._ask() else failures + 1
            except Exception:
                # A bug of ours must not end the asking for good.
                log.exception("%s failed and will be tried again", self._name)
                failures += 1
            wait_s = min(self._every_s * 2**failures, max(self._longest_s, self._every_s))
            self._stopping.wait(wait_s * random.uniform(0.8, 1.2))
