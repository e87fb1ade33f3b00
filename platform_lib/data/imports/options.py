"""The options of `mlp data import`, and the table's name that follows from them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

from platform_lib.data.contract import ColumnType
from platform_lib.data.files.formats import CsvFormat, DateOrder, DecimalSign, Reading
from platform_lib.data.sensitive import SensitiveOptions
from platform_lib.errors import UsageError

Mode = Literal["new", "replace", "append"]

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
# Words that YAML does not read as texts, and device names on Windows.
_RESERVED = {"null", "true", "false", "yes", "no", "on", "off", "con", "prn", "aux", "nul"}
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRequest:
    """The options of `mlp data import`."""

    file: Path
    target: str | None = None
    """Required for a new table; None keeps the target of an existing one."""
    id: str | None = None
    time: str | None = None
    name: str | None = None
    """None derives it from the file's name."""
    mode: Mode = "new"
    options: ReadingOptions = field(default_factory=ReadingOptions)
    """How columns are read; not for `append`, where the contract says it."""
    new_key: bool = False
    """With `replace`: decide the hold-out anew, although models were trained with the existing key."""
    trained: str | None = None
    """The registered versions that were trained on the existing table, as text; None if there are none."""
    privacy: SensitiveOptions = field(default_factory=SensitiveOptions)


def table_name(request: ImportRequest) -> str:
    """The table's name: as given, or derived from the file's name.

    Raises:
        UsageError: It is not a valid name.
    """
    rule = "1 to 60 lowercase letters, digits, dashes and underscores, starting with a letter, such as churn-2026"
    name = request.name
    if name is None:
        name = re.sub(r"[^a-z0-9_-]+", "-", request.file.stem.lower())
        name = re.sub(r"[_-]*([_-])[_-]*", r"\1", name).strip("_-")
        if not _is_name(name):
            raise UsageError(f"no table name can be derived from {request.file.name!r}; give one with --name: {rule}.")
    if not _is_name(name):
        raise UsageError(f"--name is {name!r}, expected {rule}.")
    return name


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and len(name) <= 60 and name not in _RESERVED


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
