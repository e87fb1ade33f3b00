"""Wait for a condition of another process or thread; tests never sleep instead."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(find: Callable[[], T | None], what: str = "what is waited for", timeout_s: float = 120) -> T:
    """Call `find` repeatedly and return its first true result.

    Args:
        timeout_s: Generous, because only a failing test waits this long and a busy machine may be ten times slower than
            an idle one.

    Raises:
        AssertionError: No true result within the timeout.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"{what} did not come within {timeout_s:g} s"
        time.sleep(0.02)
    return found
