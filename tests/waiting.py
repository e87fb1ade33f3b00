"""Wait for a condition: the one way in which tests wait for other processes and threads."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(find: Callable[[], T | None], what: str = "what is waited for", timeout_s: float = 120) -> T:
    """The first answer of `find` that is true; asked again and again.

    Args:
        timeout_s: Generous: only a failing test waits so long, and a busy machine may be ten times slower than an idle one.

    Raises:
        AssertionError: There was none in time.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"{what} did not come within {timeout_s:g} s"
        time.sleep(0.02)
    return found
