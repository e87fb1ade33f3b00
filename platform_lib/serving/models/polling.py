"""Thread that calls a function repeatedly, with jitter and backoff."""

import logging
import random
import threading
from collections.abc import Callable

log = logging.getLogger("platform_lib.serving")


class PollingThread:
    """Calls a function in a thread of its own until it is stopped.

    Jitter keeps many servers from polling at the same moment; backoff spares a registry that does not respond.
    """

    def __init__(self, name: str, poll: Callable[[], bool], *, every_s: float, longest_s: float) -> None:
        """Create the thread; `start` starts it.

        Args:
            name: Name of the thread.
            poll: Returns whether it got a response.
            every_s: Seconds between two calls, varied by up to 20 %. Each failure in a row doubles them.
            longest_s: Upper limit, in seconds, for the doubled interval.
        """
        self._name, self._poll, self._every_s, self._longest_s = name, poll, every_s, longest_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread and return immediately."""
        self._thread.start()

    def stop(self) -> None:
        """Make no further calls; a call in progress completes."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the call in progress."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                failures = 0 if self._poll() else failures + 1
            except Exception:
                # A bug in one call must not stop polling permanently.
                log.exception("%s failed and will be retried", self._name)
                failures += 1
            wait_s = min(self._every_s * 2**failures, max(self._longest_s, self._every_s))
            self._stopping.wait(wait_s * random.uniform(0.8, 1.2))
