"""Periods and windows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from platform_lib.errors import UsageError
from platform_lib.monitoring.windows import divide, parse_duration

END = datetime(2026, 3, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("90m", 1.5), ("12h", 12), ("7d", 168), (" 2w ", 336)],
    ids=["minutes", "hours", "days", "weeks"],
)
def test_durations_are_read(text: str, hours: float) -> None:
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "7 days", "1.5h", "9999999d"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number and m, h, d or w, such as 30m"):
        parse_duration(text)


def test_the_last_window_ends_with_the_period_and_the_first_may_start_earlier() -> None:
    windows = divide(timedelta(days=7), timedelta(days=3), END)
    assert windows.starts == tuple(END - timedelta(days=days) for days in (9, 6, 3))


def test_each_time_is_in_one_window() -> None:
    windows = divide(timedelta(hours=2), timedelta(hours=1), END)
    times = [END - timedelta(hours=3), END - timedelta(hours=2), END - timedelta(minutes=1), END]
    assert windows.of(np.array([t.replace(tzinfo=None) for t in times], dtype="datetime64[us]")).tolist() == [
        -1,
        0,
        1,
        1,
    ]


def test_too_many_windows_are_refused() -> None:
    with pytest.raises(UsageError, match="10080 windows are too many, at most 400"):
        divide(timedelta(days=7), timedelta(minutes=1), END)
