"""Convert a point in time to UTC without a zone, as in the frame.

Uses Python's parser instead of pandas': it accepts every year in all versions, and requests are checked with it too.
"""

from datetime import UTC, date, datetime
from typing import Any


def utc(value: Any) -> datetime:
    """Convert a datetime, a date or an ISO 8601 text.

    Raises:
        ValueError: The text is not ISO 8601.
        TypeError: The value is of another type.
    """
    if isinstance(value, datetime):
        time = value
    elif isinstance(value, date):
        time = datetime(value.year, value.month, value.day)
    else:
        time = datetime.fromisoformat(value)  # TypeError if it is not a text
    if time.tzinfo is None:
        return time
    try:
        return time.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # the first and the last day of the calendar may be outside of it in UTC
        return datetime.min if time.year == datetime.min.year else datetime.max
