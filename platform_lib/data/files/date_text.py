"""Dates as people write them: `2026/01/31`, `31.01.2026`, `01/31/26 5:30 PM`, `Jan 31, 2026`, `2026-Jan`, `20260131`.

Works on whole columns of texts, and rewrites them as ISO 8601. Texts that are no dates stay as they are, so that an
error can name them.
"""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.files.formats import DateOrder

_FIRST = 200
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_CLOCK = r"(?:[ t,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d{1,6})?))? ?(?P<half>[ap]\.?m\.?)?)?"
_YEAR = r"(?P<year>\d{4})"
_ANY_YEAR = r"(?P<year>\d{4}|\d\d)"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+)?"

_PLAIN_FORMS: tuple[str, ...] = (
    rf"{_YEAR}[/.-](?P<month>\d{{1,2}})[/.-](?P<day>\d{{1,2}})",
    rf"{_YEAR}[/.-](?P<month>\d{{1,2}})(?P<day>)",
    rf"{_YEAR}[ /.-](?P<month>{_NAME})(?P<day>)",
    rf"(?P<month>{_NAME})[ /.-]{_YEAR}(?P<day>)",
    rf"{_WEEKDAY}(?P<day>\d{{1,2}})\.?[ -](?P<month>{_NAME}),?[ -]{_ANY_YEAR}",
    rf"{_WEEKDAY}(?P<month>{_NAME})[ -](?P<day>\d{{1,2}})(?:,? |-){_YEAR}",
)
"""Forms that can be read in one way only."""
_ORDERED_FORMS: dict[DateOrder, str] = {
    "day-first": rf"(?P<day>\d{{1,2}})[/.-](?P<month>\d{{1,2}})[/.-]{_ANY_YEAR}",
    "month-first": rf"(?P<month>\d{{1,2}})[/.-](?P<day>\d{{1,2}})[/.-]{_ANY_YEAR}",
    "year-first": r"(?P<year>\d\d)[/.-](?P<month>\d{1,2})[/.-](?P<day>\d{1,2})",
    "compact": rf"{_YEAR}(?P<month>\d\d)(?P<day>\d\d)",
}
_EPOCH_UNITS: dict[DateOrder, int] = {"epoch-seconds": 1_000_000, "epoch-milliseconds": 1_000}


@dataclass(frozen=True, kw_only=True, slots=True)
class DateFormat:
    """How a whole column writes its dates."""

    orders: tuple[DateOrder | None, ...]
    """The orders in which all values can be read: one, or two if the column is ambiguous; None where no order is
    needed."""


def find_date_format(values: pa.ChunkedArray) -> DateFormat | None:
    """Find how a column writes dates; None if it does not hold only dates. Numbers are no dates here.

    Args:
        values: Texts without surrounding white space, shape (n,), at least one present.
    """
    texts = pc.unique(values.drop_null())
    if pc.any(pc.match_substring_regex(texts, r"^[+-]?\d*\.?\d*$")).as_py():
        return None
    orders: tuple[DateOrder, ...] = ("day-first", "month-first")
    if not any(_all_are_dates(iso_dates(texts[:_FIRST], order)) for order in (None, *orders)):
        return None  # most columns of texts end here
    if _all_are_dates(iso_dates(texts, None)):
        return DateFormat(orders=(None,))
    fitting = tuple(order for order in orders if _all_are_dates(iso_dates(texts, order)))
    return DateFormat(orders=fitting) if fitting else None


def is_compact_date(values: pa.ChunkedArray) -> bool:
    """Whether whole numbers are rather dates such as 20260131: all of them, many, and not all of one year's start.

    Args:
        values: Texts of whole numbers, shape (n,).
    """
    texts = pc.unique(values.drop_null())
    if len(texts) < 20 or not pc.all(pc.match_substring_regex(texts, r"^(19|20)\d{6}$")).as_py():
        return False
    return _all_are_dates(iso_dates(texts, "compact"))


def iso_dates(values: pa.ChunkedArray | pa.Array, order: DateOrder | None) -> pa.ChunkedArray | pa.Array:
    """Rewrite dates as ISO 8601; other texts, and dates that do not exist, stay as they are.

    Args:
        values: Texts without surrounding white space, shape (n,).
        order: Of dates that can be read in more than one way; None leaves those as they are.
    """
    if order in _EPOCH_UNITS:
        return _from_epoch(values, _EPOCH_UNITS[order])
    lower = pc.utf8_lower(values)
    ordered = [_ORDERED_FORMS[order]] if order in _ORDERED_FORMS else []
    result = values
    for form in (*ordered, *_PLAIN_FORMS):
        parts = pc.extract_regex(lower, pattern=f"^{form}{_CLOCK}$")
        if parts.null_count < len(parts):
            written = _written(parts)
            result = pc.if_else(pc.is_valid(written), written, result)
    return result


def _written(parts: pa.ChunkedArray) -> pa.ChunkedArray:
    """The dates in ISO 8601; None where there is none, or one that the calendar does not have."""
    year, month, day, hour, minute, second, half = (
        pc.struct_field(parts, name) for name in ("year", "month", "day", "hour", "minute", "second", "half")
    )
    short = pc.equal(pc.utf8_length(year), 2)
    # As POSIX reads two digits: 69 to 99 are of the last century.
    century = pc.if_else(pc.greater_equal(year, "69"), "19", "20")
    year = pc.if_else(short, pc.binary_join_element_wise(century, year, ""), year)
    number = pc.index_in(pc.utf8_slice_codeunits(month, 0, 3), value_set=pa.array(_MONTHS))
    month = pc.if_else(pc.is_valid(number), pc.cast(pc.add(number, 1), pa.string()), month)
    day = pc.if_else(pc.equal(day, ""), "1", day)
    has_time = pc.not_equal(hour, "")
    clock = pc.cast(pc.if_else(has_time, hour, "0"), pa.int64())
    is_half, is_pm = pc.not_equal(half, ""), pc.starts_with(half, "p")
    wrong_half = pc.and_(is_half, pc.or_(pc.greater(clock, 12), pc.equal(clock, 0)))
    in_half = pc.add(pc.if_else(pc.equal(clock, 12), 0, clock), pc.if_else(is_pm, 12, 0))
    hour = _two_digits(pc.cast(pc.if_else(is_half, in_half, clock), pa.string()))
    second = pc.if_else(pc.equal(second, ""), "00", second)
    days = pc.binary_join_element_wise(year, _two_digits(month), _two_digits(day), "-")
    times = pc.binary_join_element_wise(hour, minute, second, ":")
    whole = pc.if_else(has_time, pc.binary_join_element_wise(days, times, "T"), days)
    whole = pc.if_else(wrong_half, pa.scalar(None, pa.string()), whole)
    try:
        whole.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return _existing(whole)
    return whole


def _existing(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same without texts that name no time, such as the 31st of February. Slow, but seldom needed."""
    fixed = pa.array([text if _is_time(text) else None for text in texts.to_pylist()], pa.string())
    return pa.chunked_array([fixed]) if isinstance(texts, pa.ChunkedArray) else fixed


def _is_time(text: str | None) -> bool:
    try:
        datetime.fromisoformat(text or "")
    except ValueError:
        return False
    return True


def _two_digits(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lpad(numbers, 2, "0")


def _all_are_dates(texts: pa.Array) -> bool:
    if not pc.all(pc.match_substring_regex(texts, r"^\d{4}-\d{2}-\d{2}(?:$|[T ]\d{2}:)")).as_py():
        return False
    try:
        texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:  # a zone, or no date of the calendar
        return all(_is_time(text) for text in texts.to_pylist())
    return True


def _from_epoch(values: pa.ChunkedArray, microseconds: int) -> pa.ChunkedArray:
    is_number = pc.match_substring_regex(values, r"^-?\d{1,14}(?:\.\d+)?$")
    numbers = pc.cast(pc.if_else(is_number, values, pa.scalar(None, pa.string())), pa.float64())
    times = pc.cast(pc.round(pc.multiply(numbers, float(microseconds))), pa.int64()).cast(pa.timestamp("us"))
    return pc.if_else(is_number, pc.strftime(times, format="%Y-%m-%dT%H:%M:%S"), values)
