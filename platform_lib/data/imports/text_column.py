"""A column of texts from a CSV file: what is known about the file, and what the column turned out to hold."""

from dataclasses import dataclass

import pyarrow as pa

from platform_lib.data.contract import ColumnType
from platform_lib.data.files.formats import PLAIN, CsvFormat, DateOrder, DecimalSign


@dataclass(frozen=True, kw_only=True, slots=True)
class TextContext:
    """What is known about a whole file."""

    separator: str
    decimal: DecimalSign | None = None
    """As given, or proven by a column of the file."""
    dates: DateOrder | None = None
    """As given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextColumn:
    """What a column of texts holds."""

    kind: ColumnType
    values: pa.ChunkedArray
    """Shape (n,), typed."""
    reason: str
    csv: CsvFormat = PLAIN
    notices: tuple[str, ...] = ()


def cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """The values as another type; None if one cannot be converted."""
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        return None
