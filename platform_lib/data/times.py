"""A point in time as the frame holds it: UTC without a zone.

Python's parser and not pandas': it takes every year on all versions, and it is the one that checks requests.
"""

from datetime import UTC, date, datetime
from typing import Any


def utc(value: Any) -> datetime:
    """A datetime, a date or an ISO 8601 text.

    Raises:
        ValueError: A text that is neither.
        TypeError: Something else.
    """
    if isinstance(value, datetime):
        time = value
    elif isinstance(value, date):
        time = datetime(value.year, value.month, value.day)
    else:
        time = datetime.fromisoformat(value)  # TypeError for what is no text
    if time.tzinfo is None:
        return time
    try:
        return time.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # the first and the last day of the calendar may lie beyond it in UTC
        return datetime.min if time.year == datetime.min.year else datetime.max
