"""How long a version takes for so many rows: measured when it is loaded, and corrected by what its answers really take."""

import time
from collections.abc import Callable, Sequence
from typing import Any

_MANY_ROWS = 64
_LONG_S = 0.05
"""A first call that takes so long is not repeated: the version is slow, and loading it must end."""
_WEIGHT = 0.2
_MOST = 20.0
"""One answer cannot say more than this: the machine may have been busy with other things."""


class ServiceTime:
    """Expected seconds: `call_s` once a call and `row_s` for each row, times how much slower it has been lately. One thread uses it."""

    def __init__(self, call_s: float, row_s: float) -> None:
        self.call_s, self.row_s = call_s, row_s
        self._slowness = 1.0

    def seconds(self, rows: int) -> float:
        """Expected for one call with so many rows."""
        return (self.call_s + rows * self.row_s) * self._slowness

    def rows_within(self, seconds: float) -> int:
        """How many rows one call may have to be done in that time, at least 1."""
        per_row = self.row_s * self._slowness
        left = seconds - self.call_s * self._slowness
        return max(1, int(left / per_row)) if per_row > 0 else 1_000_000

    def record(self, rows: int, seconds: float) -> None:
        """A call with so many rows took so long."""
        ratio = min(seconds / max(self.call_s + rows * self.row_s, 1e-6), _MOST)
        self._slowness += _WEIGHT * (ratio - self._slowness)


def measure(predict: Callable[[Sequence[Any]], object], row: Any) -> ServiceTime:
    """Ask for one row and for many.

    Args:
        predict: Answers a list of rows; was called before, so that nothing is imported or compiled now.
    """
    one_s = _seconds(predict, [row])
    many_s = _seconds(predict, [row] * _MANY_ROWS)
    row_s = max(many_s - one_s, 0.0) / (_MANY_ROWS - 1)
    return ServiceTime(max(one_s - row_s, 0.0), row_s)


def _seconds(predict: Callable[[Sequence[Any]], object], rows: Sequence[Any]) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        predict(rows)
        best = min(best, time.perf_counter() - start)
        if best > _LONG_S:
            break
    return best
