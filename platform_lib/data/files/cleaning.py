"""Convert the cells of a file to values, identically for import, append, training and batch prediction.

Where a contract exists, it decides what a cell such as `1,5` is: a number in a column of numbers, a text in a column
of texts. A first import has no contract yet: cells stay texts, and `imports.text_inference` decides on whole columns.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.files.date_text import iso_dates
from platform_lib.data.files.formats import CsvFormat, Reading
from platform_lib.data.files.number_text import plain_numbers
from platform_lib.errors import UsageError

MISSING_MARKERS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None")
"""Cells of CSV that mean a missing value."""
COMMA_SEPARATOR = ";"
"""The separator of files in which the comma may be the decimal sign."""
_NUMBER_TYPES = ("integer", "number")


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanColumn:
    """One column's values, and what was done to get them."""

    values: pa.ChunkedArray
    """Shape (n,). CSV: texts. Parquet: int64, uint64, double, bool, string, timestamp or null."""
    was_trimmed: bool = False
    """White space around a value was removed."""
    markers: tuple[str, ...] = ()
    """The different cells that were read as missing, sorted."""


def clean_csv_column(cells: pa.ChunkedArray, *, separator: str, reading: Reading) -> CleanColumn:
    """Clean a column of CSV: white space, markers of missing values, and numbers and dates as people write them.

    Args:
        cells: Texts as in the file, shape (n,), none missing.
        separator: Of the file.
        reading: The column's type and format. Without a type, numbers and dates stay as they are.
    """
    values = pc.utf8_trim_whitespace(cells)
    was_trimmed = not cells.equals(values)
    is_marker = pc.is_in(values, value_set=pa.array(missing_markers(reading.csv)))
    markers: tuple[str, ...] = ()
    if pc.any(is_marker).as_py():
        markers = tuple(sorted(pc.unique(values.filter(is_marker)).to_pylist()))
        values = pc.if_else(is_marker, pa.scalar(None, pa.string()), values)
    if reading.column_type in _NUMBER_TYPES:
        values = _plain_numbers(values, separator, reading.csv)
    elif reading.column_type == "datetime":
        values = iso_dates(values, reading.csv.dates)
    return CleanColumn(values=values, was_trimmed=was_trimmed, markers=markers)


def missing_markers(csv: CsvFormat) -> list[str]:
    """The cells that mean a missing value in a column; the blank one always does."""
    return [marker for marker in (*MISSING_MARKERS, *csv.missing) if marker not in csv.not_missing or not marker]


def _plain_numbers(values: pa.ChunkedArray, separator: str, csv: CsvFormat) -> pa.ChunkedArray:
    points = plain_numbers(values, decimal=".", unit=csv.unit)
    if csv.decimal == "." or (csv.decimal is None and separator != COMMA_SEPARATOR):
        return points
    commas = plain_numbers(values, decimal=",", unit=csv.unit)
    if csv.decimal == "," and separator != ",":
        return commas
    # Programs write numbers with a point and without groups, people may write the comma into the same kind of file.
    return pc.if_else(pc.match_substring(values, ","), commas, points)


def clean_parquet_column(
    cells: pa.ChunkedArray, *, name: str, path: Path, column_type: str | None = None
) -> CleanColumn:
    """Clean a column of Parquet: few types, NaN and blank texts as missing, no white space around texts.

    Args:
        cells: As in the file, shape (n,).
        name: Of the column, for errors.
        path: Of the file, for errors.
        column_type: The column's type in the data contract, None where there is none. Whole numbers in a column of
            texts become texts here, because pandas would hold them as floats where one is missing, and merge neighbours
            beyond 2^53.
    Raises:
        UsageError: The column holds lists, bytes or another type that no model can learn from.
    """
    kind = cells.type
    if pa.types.is_dictionary(kind):
        cells = cells.cast(kind.value_type)
        kind = cells.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers: Any = cells.cast(pa.float64(), safe=False)
        return CleanColumn(values=pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers))
    if pa.types.is_integer(kind):
        if column_type == "string":
            return CleanColumn(values=cells.cast(pa.string()))
        return CleanColumn(values=cells.cast(pa.uint64() if kind == pa.uint64() else pa.int64()))
    if pa.types.is_large_string(kind) or kind == pa.string_view() or pa.types.is_string(kind):
        texts = cells.cast(pa.string())
        values = pc.utf8_trim_whitespace(texts)
        was_trimmed = not texts.equals(values)
        return CleanColumn(
            values=pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values), was_trimmed=was_trimmed
        )
    if pa.types.is_date(kind):
        return CleanColumn(values=cells.cast(pa.timestamp("us"), safe=False))
    if pa.types.is_timestamp(kind):
        # A zone is only how the value was shown: Arrow keeps UTC.
        utc = cells.cast(pa.timestamp("us", tz=kind.tz), safe=False)
        return CleanColumn(values=utc.cast(pa.int64()).cast(pa.timestamp("us")))
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return CleanColumn(values=cells)
    raise UsageError(
        f"{path}: column {name!r} holds {kind}, expected numbers, texts, booleans or times. Convert it to one of "
        "these, or remove it."
    )
