"""The columns of a first import: which are taken, with which types, and which are left out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.contract import ColumnType
from platform_lib.data.files.formats import PLAIN, CsvFormat, Reading
from platform_lib.data.files.reading import RawTable, read_raw
from platform_lib.data.imports.options import Choice, ReadingOptions, readings, require_columns
from platform_lib.data.imports.text_column import TextContext
from platform_lib.data.imports.text_inference import decimal_of
from platform_lib.data.imports.type_inference import InferredColumn, infer_column
from platform_lib.errors import UsageError

_MIN_ROWS_FOR_INDEX = 20
_UNNAMED = re.compile(r"Unnamed: \d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedColumns:
    """What a first import found in a file."""

    raw: RawTable
    """The rows that have a target."""
    inferred: Mapping[str, InferredColumn]
    """Per column that has a value, in the file's order."""
    left_out: Mapping[str, str]
    """Columns that stay in the table, but out of the contract; per name the reason."""
    empty: tuple[str, ...]
    """Columns without any value."""
    without_target: int
    """Rows that were dropped because they have no target."""
    warnings: tuple[str, ...]


def import_columns(file: Path, target: str, options: ReadingOptions, *, roles: set[str]) -> ImportedColumns:
    """Read a file and infer its columns.

    Args:
        file: CSV or Parquet.
        target: The column to predict.
        options: How columns are read, where people say so.
        roles: Columns that are never left out: the target, the id, the time.
    Raises:
        NotFound: The file does not exist.
        UsageError: The file or an option does not fit, or the target has too few values.
    """
    raw = read_rows(file)
    names = raw.table.column_names
    require_columns(options, names, file.name)
    asked = dict(options.types)
    given = readings(options, names)
    if any(reading.csv != PLAIN for reading in given.values()):
        raw = read_rows(file, given)
    context = _context(raw, options)
    warnings: list[str] = []
    is_only_none = raw.markers.get(target) == ("None",) and "None" not in given[target].csv.missing
    if is_only_none and _is_text(raw, target, context):
        given[target] = Reading(csv=msgspec.structs.replace(given[target].csv, not_missing=("None",)))
        raw = read_rows(file, given)
        warnings.append(
            f"'None' is read as a class of the target {target!r}, since no cell of it is blank; if it means that the "
            f"value is missing, import again with --missing '{target}=None'."
        )
    markers = [marker for marker in raw.markers.get(target, ()) if marker]
    first = None
    if raw.table.column(target).null_count < raw.table.num_rows:
        first = infer_column(
            raw.table.column(target),
            target,
            context=context,
            asked=_type(asked, target),
            kept=given[target].csv.not_missing,
        )
        if first is not None and first.column.csv is not None:
            markers += first.column.csv.missing
    has_own_markers = first is not None and first.column.csv is not None and bool(first.column.csv.missing)
    raw, without_target = with_target(raw, target, file, typed=first.values if first and has_own_markers else None)
    if markers and without_target:
        listed = ", ".join(repr(marker) for marker in markers)
        warnings.append(
            f"{without_target} row{'' if without_target == 1 else 's'} dropped, because the target is blank or "
            f"{listed}, which is read as missing; if it is a value, import again with "
            f"--not-missing '{target}={markers[0]}'."
        )
    inferred: dict[str, InferredColumn] = {}
    left_out: dict[str, str] = {}
    empty: list[str] = []
    for name in names:
        values = raw.table.column(name)
        column = infer_column(values, name, context=context, asked=_type(asked, name), kept=given[name].csv.not_missing)
        if column is None:
            empty.append(name)
            continue
        inferred[name] = _with_options(column, given[name].csv)
        if asked.get(name) == "ignore":
            left_out[name] = "left out, as --column says"
        elif name in asked or name in roles:
            continue
        elif _UNNAMED.fullmatch(name):
            kind = column.column.type
            left_out[name] = f"left out, since it has no name, as an index (--column '{name}:{kind}' takes it)"
        elif column.column.csv is None and is_row_number(column.values):
            left_out[name] = f"left out, since it only counts the rows (--column '{name}:integer' makes it a feature)"
    if not any(name not in left_out and name not in roles for name in inferred):
        left_out = {name: reason for name, reason in left_out.items() if asked.get(name) == "ignore"}
    return ImportedColumns(
        raw=raw,
        inferred=inferred,
        left_out=left_out,
        empty=tuple(empty),
        without_target=without_target,
        warnings=tuple(warnings),
    )


def read_rows(file: Path, given: Mapping[str, Reading] | None = None) -> RawTable:
    """Read a table that has rows.

    Raises:
        NotFound: The file does not exist.
        UsageError: It is not a table, or has no rows.
    """
    raw = read_raw(file, given)
    if raw.table.num_rows == 0:
        raise UsageError(f"{file} has a header but no rows; add rows below it.")
    return raw


def with_target(
    raw: RawTable, target: str, file: Path | str, *, typed: pa.ChunkedArray | None = None, must_vary: bool = True
) -> tuple[RawTable, int]:
    """Drop rows without a target; returns the rest and how many were dropped.

    Args:
        raw: The table.
        target: Name of the column.
        file: For errors.
        typed: The target's typed values, if they are missing in more rows than its cells; shape (n,).
        must_vary: At least two rows are needed.
    Raises:
        UsageError: No row, or only one, has a target.
    """
    values = raw.table.column(target) if typed is None else typed
    missing = values.null_count
    if missing == len(values):
        raise UsageError(
            f"the target {target!r} has no value in any row of {file}; choose another with --target, or fill it in."
        )
    if must_vary and len(values) - missing == 1:
        raise UsageError(f"{file} has 1 row with a target, expected at least two; add rows.")
    if missing:
        raw = raw.with_table(raw.table.filter(pc.is_valid(values)))
    return raw, missing


def is_row_number(values: pa.ChunkedArray) -> bool:
    """Whether whole numbers count the rows from 0 or 1, in the file's order."""
    if not pa.types.is_integer(values.type) or len(values) < _MIN_ROWS_FOR_INDEX or values.null_count:
        return False
    first = values[0].as_py()
    if first not in (0, 1) or values[-1].as_py() != first + len(values) - 1:
        return False
    return bool(pc.all(pc.equal(pc.pairwise_diff(values.combine_chunks()).drop_null(), 1)).as_py())


def _context(raw: RawTable, options: ReadingOptions) -> TextContext | None:
    if raw.separator is None:
        return None
    decimal = options.decimal
    if decimal is None and raw.separator != ",":
        decimal = decimal_of(raw.table.columns)
    return TextContext(separator=raw.separator, decimal=decimal, dates=options.dates)


def _is_text(raw: RawTable, name: str, context: TextContext | None) -> bool:
    column = infer_column(raw.table.column(name), name, context=context)
    return column is not None and column.column.type == "string"


def _type(asked: Mapping[str, Choice], name: str) -> ColumnType | None:
    kind = asked.get(name)
    return None if kind == "ignore" else kind


def _with_options(column: InferredColumn, given: CsvFormat) -> InferredColumn:
    """The column with the markers that were given, so that later files are read in the same way."""
    if given == PLAIN:
        return column
    csv = column.column.csv or PLAIN
    merged = msgspec.structs.replace(csv, missing=(*given.missing, *csv.missing), not_missing=given.not_missing)
    return column.with_csv(merged)
