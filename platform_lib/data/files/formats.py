"""How the cells of a CSV file write a column's values, where that is not the plain way."""

from dataclasses import dataclass
from typing import Literal

import msgspec

DecimalSign = Literal[".", ","]
DateOrder = Literal["day-first", "month-first", "year-first", "compact", "epoch-seconds", "epoch-milliseconds"]


class CsvFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How cells of CSV are read as values of a column. Parquet and requests to the server hold values already."""

    decimal: DecimalSign | None = None
    """The decimal sign of numbers; None: the point, and in files separated by semicolons also the comma."""
    unit: str | None = None
    """Written before or after each number and not part of it, such as `$`, `%` or `kg`."""
    dates: DateOrder | None = None
    """How dates are written that could be read in more than one way; None: year first or a month by name."""
    missing: tuple[str, ...] = ()
    """Cells that mean a missing value, in addition to the usual ones."""
    not_missing: tuple[str, ...] = ()
    """Cells that usually mean a missing value, but are values of this column."""


PLAIN = CsvFormat()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How a file's column is read: by the data contract, or by the options of a first import."""

    column_type: str | None = None
    """The type in the data contract; None where there is no contract, so that the cells stay texts."""
    csv: CsvFormat = PLAIN
