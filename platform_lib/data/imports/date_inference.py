"""Infer whether a column of a CSV file holds dates, and in which order they are written."""

import re
import shlex

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.files.date_text import DateFormat, find_date_format, is_compact_date, iso_dates
from platform_lib.data.files.formats import CsvFormat, DateOrder
from platform_lib.data.imports.text_column import TextColumn, TextContext, cast
from platform_lib.data.times import utc

ISO = r"^\d{4}-\d{2}-\d{2}(?:$|[T ])"
_TIME_NAME = re.compile(
    r"(^|[ _.-])(time|timestamp|ts|date|datetime|epoch|created|updated|modified|at|unix)$", re.IGNORECASE
)
_MIN_TIMES = 20
_EPOCH_SECONDS = (631_152_000, 4_102_444_800)
"""From 1990 to 2100."""


def number_dates(values: pa.ChunkedArray, name: str, *, is_asked: bool) -> TextColumn | None:
    """Whole numbers that are dates: `20260131`, or the time since 1970."""
    integers = cast(values, pa.int64())
    if integers is None:
        return None
    span = pc.min_max(integers).as_py()
    order: DateOrder | None = None
    if is_compact_date(values) or (is_asked and 19_000_101 <= span["min"] <= span["max"] <= 21_001_231):
        order = "compact"
    elif is_asked or (_TIME_NAME.search(name) and pc.count_distinct(integers).as_py() >= _MIN_TIMES):
        scales: tuple[tuple[DateOrder, int], ...] = (("epoch-seconds", 1), ("epoch-milliseconds", 1000))
        fitting = [
            one
            for one, scale in scales
            if span["min"] >= _EPOCH_SECONDS[0] * scale and span["max"] <= _EPOCH_SECONDS[1] * scale
        ]
        order = fitting[0] if fitting else None
    if order is None:
        return None
    times = cast(iso_dates(values, order), pa.timestamp("us"))
    if times is None:
        return None
    written = "dates written as YYYYMMDD" if order == "compact" else order.replace("epoch-", "Unix time in ")
    option = f"--column {shlex.quote(name + ':integer')} keeps the numbers"
    notice = f"{values.drop_null()[0].as_py()!r} is read as {times.drop_null()[0].as_py()} ({option})"
    return TextColumn(
        kind="datetime", values=times, reason=f"all are {written}", csv=CsvFormat(dates=order), notices=(notice,)
    )


def text_dates(values: pa.ChunkedArray, name: str, context: TextContext) -> TextColumn | None:
    """Dates and times; texts with a notice if they can be read in more than one way; None if they are no dates."""
    first = values.drop_null()[0].as_py()
    if re.match(ISO, first):
        times = _times(values)
        if times is not None:
            return TextColumn(kind="datetime", values=times, reason="all are ISO 8601 dates or times")
    found = find_date_format(values)
    if context.dates is not None and (found is None or context.dates not in found.orders):
        given = iso_dates(values, context.dates)
        if found is None and _times(given) is not None:
            found = DateFormat(orders=(context.dates,))
    if found is None:
        return None
    order = context.dates if context.dates in found.orders else found.orders[0]
    if len(found.orders) > 1 and context.dates is None:
        notice = (
            f"looks like dates, but {first!r} can be read with the day or the month first, so the texts are kept: "
            "import again with --dates day-first or --dates month-first"
        )
        return TextColumn(kind="string", values=values, reason="text", notices=(notice,))
    times = _times(iso_dates(values, order))
    if times is None:
        return None
    option = f"--column {shlex.quote(name + ':string')} keeps the text"
    notice = f"{first!r:.40} is read as {times.drop_null()[0].as_py()} ({option})"
    csv = CsvFormat(dates=order)
    return TextColumn(kind="datetime", values=times, reason="all are dates or times", csv=csv, notices=(notice,))


def _times(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    times = cast(values, pa.timestamp("us"))
    if times is not None:
        return times
    try:  # slower, but reads zones and everything else that requests may contain
        return pa.chunked_array(
            [pa.array([None if text is None else utc(text) for text in values.to_pylist()], pa.timestamp("us"))]
        )
    except ValueError:
        return None
