"""Expected prediction time by number of rows, measured and then corrected."""

import time
from collections.abc import Callable, Sequence
from typing import Any

_MANY_ROWS = 64
_LONG_S = 0.05
"""A call this long is not repeated: the version is slow, and loading must come to an end."""
_WEIGHT = 0.2
_LARGEST_RATIO = 20.0
"""Upper limit for the weight of one call: the machine may have been busy with something else."""


class ServiceTime:
    """Expected seconds per call: (`call_s` + rows × `row_s`) × the recent slowdown. Not thread-safe."""

    def __init__(self, call_s: float, row_s: float) -> None:
        self.call_s, self.row_s = call_s, row_s
        self._slowdown = 1.0

    def seconds(self, rows: int) -> float:
        """Return the expected seconds for one call with `rows` rows."""
        return (self.call_s + rows * self.row_s) * self._slowdown

    def rows_within(self, seconds: float) -> int:
        """Return how many rows one call can have and still be expected to finish in `seconds`; at least 1."""
        per_row = self.row_s * self._slowdown
        left = seconds - self.call_s * self._slowdown
        return max(1, int(left / per_row)) if per_row > 0 else 1_000_000

    def record(self, rows: int, seconds: float) -> None:
        """Record that a call with `rows` rows took `seconds`."""
        ratio = min(seconds / max(self.call_s + rows * self.row_s, 1e-6), _LARGEST_RATIO)
        self._slowdown += _WEIGHT * (ratio - self._slowdown)


def measure(predict: Callable[[Sequence[Any]], object], row: Any) -> ServiceTime:
    """Measure calls with one row and with many rows.

    Args:
        predict: Predicts a list of rows. It was called before, so that nothing is imported or compiled now.
        row: A valid row; it is repeated for the call with many rows.
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
