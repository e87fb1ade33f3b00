"""Periods of time as people write them, and the windows that a period is divided into."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from platform_lib.errors import UsageError

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
MAX_WINDOWS = 400
"""More windows than a person or a plot can read."""


def parse_duration(text: str) -> timedelta:
    """A number with m, h, d or w, such as `90m` or `7d`.

    Raises:
        UsageError: The text is no such duration.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a duration: expected a number and m, h, d or w, such as 30m, 12h, 7d or 4w.")
    return int(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """Equal windows; the last one ends when the period ends."""

    starts: tuple[datetime, ...]
    """Oldest first, UTC."""
    length: timedelta
    end: datetime

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, times: NDArray[np.datetime64]) -> NDArray[np.intp]:
        """The window of each time: n times in, n positions out; -1 is before the first window.

        Args:
            times: UTC, shape (n,).
        """
        first = np.datetime64(self.starts[0].replace(tzinfo=None), "us")
        width = np.timedelta64(self.length // timedelta(microseconds=1), "us")
        found = (times.astype("datetime64[us]") - first) // width
        return np.where(found < 0, -1, np.minimum(found, len(self) - 1)).astype(np.intp)


def divide(since: timedelta, length: timedelta, end: datetime) -> Windows:
    """Divide the period before `end` into windows; a remainder makes the first window start earlier.

    Args:
        since: How far back the period begins.
        length: Of a window; longer than the period is one window.
        end: UTC.
    Raises:
        UsageError: The period has more than `MAX_WINDOWS` windows.
    """
    count = max(1, -(-since // length))
    if count > MAX_WINDOWS:
        raise UsageError(f"{count} windows are too many, at most {MAX_WINDOWS}: choose longer windows with --window.")
    return Windows(starts=tuple(end - length * (count - i) for i in range(count)), length=length, end=end)
