"""The options of `mlp data import` that say how columns are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, get_args

from platform_lib.data.contract import ColumnType
from platform_lib.data.files.formats import CsvFormat, DateOrder, DecimalSign, Reading
from platform_lib.errors import UsageError

Choice = ColumnType | Literal["ignore"]
TYPES: tuple[str, ...] = (*get_args(ColumnType), "ignore")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingOptions:
    """How columns are read, where people say so."""

    types: Mapping[str, Choice] = field(default_factory=dict)
    """Per column its type; `ignore` leaves it out."""
    missing: tuple[str, ...] = ()
    """Cells that mean a missing value: TEXT for all columns, COLUMN=TEXT for one."""
    not_missing: tuple[str, ...] = ()
    """The same for cells that usually mean a missing value, but do not."""
    decimal: DecimalSign | None = None
    dates: DateOrder | None = None


def parse_types(given: Iterable[str]) -> dict[str, Choice]:
    """Read `--column NAME:TYPE`.

    Raises:
        UsageError: It has another form.
    """
    types: dict[str, Choice] = {}
    for text in given:
        name, colon, kind = text.rpartition(":")
        if not colon or not name or kind not in TYPES:
            close = get_close_matches(kind, TYPES, n=1, cutoff=0.6)
            hint = f" Did you mean {name}:{close[0]}?" if close and name else ""
            raise UsageError(
                f"--column is {text!r}, expected NAME:TYPE with a type of {', '.join(TYPES)}, such as zip:string.{hint}"
            )
        types[name] = kind  # type: ignore[assignment]
    return types


def require_columns(options: ReadingOptions, names: list[str], file: str) -> None:
    """Check that the file has the columns that `--column` names.

    Raises:
        UsageError: It lacks one.
    """
    for name in options.types:
        if name not in names:
            close = get_close_matches(name, names, n=1, cutoff=0.6)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(
                f"--column names the column {name!r}, which {file} does not have; it has {', '.join(names)}.{hint}"
            )


def readings(options: ReadingOptions, names: list[str]) -> dict[str, Reading]:
    """How the cells of each column are read in a first import."""
    missing = _per_column(options.missing, names)
    not_missing = _per_column(options.not_missing, names)
    return {
        name: Reading(csv=CsvFormat(missing=tuple(missing[name]), not_missing=tuple(not_missing[name])))
        for name in names
    }


def _per_column(given: Iterable[str], names: list[str]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {name: [] for name in names}
    for option in given:
        # A column's name may contain an equals sign, and so may a text for all columns.
        column = max((name for name in names if option.startswith(f"{name}=")), key=len, default=None)
        for name in names if column is None else [column]:
            texts[name].append(option if column is None else option[len(column) + 1 :])
    return texts
