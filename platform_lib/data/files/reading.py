"""Read a whole CSV or Parquet file into Arrow. Cells of CSV stay texts: `type_inference` or the contract decides their
types."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.files.cleaning import CleanColumn, clean_csv_column, clean_parquet_column
from platform_lib.data.files.csv_layout import SEPARATORS, csv_layout, csv_names, not_utf8
from platform_lib.data.files.formats import Reading
from platform_lib.errors import NotFound, UsageError

CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawTable:
    """A file's rows; the values of CSV are texts."""

    table: pa.Table
    """The columns as `cleaning` gives them."""
    notes: tuple[str, ...]
    """What was done to read the file, as sentences."""
    markers: dict[str, tuple[str, ...]]
    """Per column the cells that were read as missing; empty for Parquet."""
    separator: str | None = None
    """Of CSV, whose texts may be values of other types; None for Parquet."""

    def with_table(self, table: pa.Table) -> "RawTable":
        """The same with another table."""
        return replace(self, table=table)


def read_raw(path: Path, readings: Mapping[str, Reading] | None = None) -> RawTable:
    """Read a table.

    Args:
        path: Of a CSV or Parquet file.
        readings: By column, from the contract or from the options of an import; see `cleaning`. Cells of CSV in other
            columns stay texts.
    Raises:
        NotFound: The file does not exist.
        UsageError: The content does not fit the suffix; says what it is and what was expected.
    """
    suffix = checked_suffix(path)
    try:
        return (_read_parquet if suffix in PARQUET_SUFFIXES else _read_csv)(path, readings or {})
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror or err}.") from err


def column_names(path: Path) -> list[str]:
    """The names of a file's columns, without reading its rows.

    Raises:
        NotFound: The file does not exist.
        UsageError: The content does not fit the suffix.
    """
    try:
        if checked_suffix(path) in PARQUET_SUFFIXES:
            return data_columns(parquet_file(path).schema_arrow.names)
        return csv_names(csv_layout(path).header)
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror or err}.") from err


def checked_suffix(path: Path) -> str:
    """The suffix of a table file, in lower case.

    Raises:
        NotFound: The file does not exist.
        UsageError: It is a folder, has another suffix, or is empty.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise NotFound(f"{path} does not exist; give a CSV or Parquet file.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected one CSV or Parquet file.")
    if suffix not in CSV_SUFFIXES + PARQUET_SUFFIXES:
        raise UsageError(
            f"{path} ends in {suffix or 'nothing'!r}, expected one of {', '.join(CSV_SUFFIXES + PARQUET_SUFFIXES)}: "
            "save it as one of these."
        )
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty, expected a table with a header row and data rows.")
    return suffix


def _read_csv(path: Path, readings: Mapping[str, Reading]) -> RawTable:
    from pyarrow import csv as arrow_csv

    layout = csv_layout(path)
    names = csv_names(layout.header)
    try:
        table = arrow_csv.read_csv(path, read_options=layout.read_options(8 << 20), **layout.options())
    except pa.ArrowInvalid as err:
        raise csv_error(path, layout.separator, len(names), err) from err
    notes = [f"The columns are separated by {SEPARATORS[layout.separator]}s."] if layout.separator != "," else []
    if layout.skipped:
        notes.append(f"{layout.skipped} line{'s' if layout.skipped > 1 else ''} above the header skipped.")
    blank = [n for n, cell in enumerate(layout.header) if n and not cell.strip() and _are_blank(table.column(n))]
    checked_names([name if n in (0, *blank) else layout.header[n].strip() for n, name in enumerate(names)], path)
    if blank:
        notes.append(f"Column {', '.join(str(n + 1) for n in blank)} has no name and no values: dropped.")
    columns = {
        name: clean_csv_column(cells, separator=layout.separator, reading=readings.get(name, Reading()))
        for number, (name, cells) in enumerate(zip(names, table.columns, strict=True))
        if number not in blank
    }
    markers = {name: column.markers for name, column in columns.items() if column.markers}
    return _raw_table(columns, notes, markers=markers, separator=layout.separator)


def _are_blank(cells: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.equal(pc.utf8_trim_whitespace(cells), "")).as_py())


def _raw_table(
    columns: Mapping[str, CleanColumn], notes: list[str], *, markers: dict[str, tuple[str, ...]], separator: str | None
) -> RawTable:
    if trimmed := [name for name, column in columns.items() if column.was_trimmed]:
        notes.append(f"White space around values was removed in {', '.join(trimmed)}.")
    table = pa.table({name: column.values for name, column in columns.items()})
    return RawTable(table=table, notes=tuple(notes), markers=markers, separator=separator)


def checked_names(names: list[str], path: Path) -> list[str]:
    """Check that contract, Hydra and Parquet can all represent the column names.

    Raises:
        UsageError: A name is blank, duplicate, or contains something that Hydra would resolve.
    """
    for number, name in enumerate(names, start=1):
        if not name.strip():
            hint = " If the table begins below a title, remove the lines above its header." if number > 1 else ""
            raise UsageError(
                f"{path}: column {number} has a blank name, expected a name for each column.{hint} Name it or remove "
                "it."
            )
        if "${" in name:
            raise UsageError(
                f"{path}: column {number} is named {name!r}, but '${{' in a name would be read as a reference by "
                "Hydra. Rename it."
            )
        if name == "???":
            raise UsageError(
                f"{path}: column {number} is named '???', which Hydra would read as a value to be filled in. Rename it."
            )
        if not name.isprintable():
            raise UsageError(
                f"{path}: column {number} is named {name!r}, which contains a character that cannot be printed. Rename "
                "it."
            )
    if twice := [name for name in names if names.count(name) > 1]:
        places = [str(number) for number, name in enumerate(names, start=1) if name == twice[0]]
        raise UsageError(
            f"{path}: columns {' and '.join(places)} are all named {twice[0]!r}, expected each name once. Rename one."
        )
    return names


def csv_error(path: Path, separator: str, width: int, err: Exception) -> UsageError:
    """Convert Arrow's error to one that names the line. Slow, but used only after a failure."""
    if "UTF8" in str(err) or "UTF-8" in str(err):
        return not_utf8(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator)
            for row in reader:
                if row and len(row) != width:
                    return UsageError(
                        f"{path}: line {reader.line_num} has {len(row)} values, expected {width} as in the header. "
                        "Fix the line; a value that contains the separator needs double quotes around it."
                    )
    except UnicodeDecodeError:
        return not_utf8(path)
    except csv.Error:
        pass
    return UsageError(f"{path} is not CSV: {str(err).splitlines()[0]:.200} Save the table as CSV (UTF-8) or Parquet.")


def _read_parquet(path: Path, readings: Mapping[str, Reading]) -> RawTable:
    table = parquet_file(path).read()
    names = data_columns(table.column_names)
    notes = ["pandas' index was dropped."] if len(names) < table.num_columns else []
    checked_names(names, path)
    columns = {
        name: clean_parquet_column(
            table.column(name), name=name, path=path, column_type=readings.get(name, Reading()).column_type
        )
        for name in names
    }
    return _raw_table(columns, notes, markers={}, separator=None)


def data_columns(names: Iterable[str]) -> list[str]:
    """The names without those that pandas gives an index that has none."""
    return [name for name in names if not (name.startswith("__index_level_") and name.endswith("__"))]


def parquet_file(path: Path) -> Any:
    """Open a Parquet file.

    Raises:
        UsageError: It is not one.
    """
    import pyarrow.parquet as parquet

    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise not_parquet(path, err) from err


def not_parquet(path: Path, err: Exception) -> UsageError:
    """The error for a file that is not Parquet, although it is named so."""
    return UsageError(
        f"{path} is not a Parquet file: {str(err).splitlines()[0]:.200} Save the table as Parquet again, or as CSV."
    )
