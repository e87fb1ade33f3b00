"""Convert the cells of a file to values, identically for import, append, training and batch prediction.

Where a contract exists, the column's type in it decides what a cell such as `1,5` is: a number in a column of numbers,
a text in a column of texts. A first import has no contract yet, so all of the column's values decide.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.errors import UsageError

MISSING_MARKERS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None")
"""Cells of CSV that mean a missing value."""
_COMMA_SEPARATOR = ";"
"""The separator of files in which the comma may be the decimal sign."""
_NUMBER_TYPES = ("integer", "number")


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanColumn:
    """One column's values, and what was done to get them."""

    values: pa.ChunkedArray
    """Shape (n,). CSV: texts. Parquet: int64, uint64, double, bool, string, timestamp or null."""
    was_trimmed: bool = False
    """White space around a value was removed."""
    has_decimal_commas: bool = False
    """Decimal commas became points."""
    markers: tuple[str, ...] = ()
    """The different MISSING_MARKERS that were read as missing, sorted."""


def clean_csv_column(cells: pa.ChunkedArray, *, separator: str, column_type: str | None) -> CleanColumn:
    """Clean a column of CSV: white space, markers of missing values, and decimal commas of numbers.

    Args:
        cells: Texts as in the file, shape (n,), none missing.
        separator: Of the file.
        column_type: The column's type in the data contract; None where there is no contract: then `cells` must be the
            whole column.
    """
    values = pc.utf8_trim_whitespace(cells)
    was_trimmed = not cells.equals(values)
    is_marker = pc.is_in(values, value_set=pa.array(MISSING_MARKERS))
    markers: tuple[str, ...] = ()
    if pc.any(is_marker).as_py():
        markers = tuple(sorted(pc.unique(values.filter(is_marker)).to_pylist()))
        values = pc.if_else(is_marker, pa.scalar(None, pa.string()), values)
    has_commas = False
    if separator == _COMMA_SEPARATOR:
        if column_type is None:
            has_commas = _are_decimal_commas(values)
        elif column_type in _NUMBER_TYPES:
            has_commas = bool(pc.any(pc.match_substring(values, ",")).as_py())
    if has_commas:
        values = pc.replace_substring_regex(values, r"^([+-]?\d+),(\d+)$", r"\1.\2")
    return CleanColumn(values=values, was_trimmed=was_trimmed, has_decimal_commas=has_commas, markers=markers)


def _are_decimal_commas(values: pa.ChunkedArray) -> bool:
    """Whether a whole column holds numbers with decimal commas. Leading zeros make a code, which stays text."""
    fits = pc.all(pc.match_substring_regex(values, r"^[+-]?(0|[1-9]\d*)(,\d+)?$")).as_py()
    return bool(fits and pc.any(pc.match_substring(values, ",")).as_py())


def clean_parquet_column(
    cells: pa.ChunkedArray, *, name: str, path: Path, column_type: str | None = None
) -> CleanColumn:
    """Clean a column of Parquet: few types, NaN as missing, no white space around texts.

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
        return CleanColumn(values=values, was_trimmed=not texts.equals(values))
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
