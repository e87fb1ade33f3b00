"""Read a whole CSV or Parquet file into Arrow. Cells of CSV stay texts: `type_inference` or the contract decides their
types."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pyarrow as pa

from platform_lib.data.files.cleaning import CleanColumn, clean_csv_column, clean_parquet_column
from platform_lib.errors import NotFound, UsageError

CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RawTable:
    """A file's rows; the values of CSV are texts."""

    table: pa.Table
    """The columns as `cleaning` gives them."""
    notes: tuple[str, ...]
    """What was done to read the file, as sentences."""
    markers: dict[str, tuple[str, ...]]
    """Per column the cells that were read as missing; empty for Parquet."""
    from_text: bool
    """Whether texts may be values of other types, as in CSV."""

    def with_table(self, table: pa.Table) -> "RawTable":
        """The same with another table."""
        return replace(self, table=table)


def read_raw(path: Path, types: Mapping[str, str] | None = None) -> RawTable:
    """Read a table.

    Args:
        path: Of a CSV or Parquet file.
        types: Contract types by column, where a contract exists; see `cleaning`. Columns that it does not name are read
            as in a first import.
    Raises:
        NotFound: The file does not exist.
        UsageError: The content does not fit the suffix; says what it is and what was expected.
    """
    suffix = checked_suffix(path)
    try:
        return (_read_parquet if suffix in PARQUET_SUFFIXES else _read_csv)(path, types or {})
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


def _read_csv(path: Path, types: Mapping[str, str]) -> RawTable:
    from pyarrow import csv as arrow_csv

    separator, header = csv_header(path)
    names = checked_names([name.strip() for name in header], path)
    placeholders = [str(number) for number in range(len(names))]
    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=placeholders, skip_rows_after_names=1, block_size=8 << 20),
            parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(placeholders, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as err:
        raise csv_error(path, separator, len(names), err) from err
    notes = [f"The columns are separated by {SEPARATORS[separator]}s."] if separator != "," else []
    columns = {
        name: clean_csv_column(cells, separator=separator, column_type=types.get(name))
        for name, cells in zip(names, table.columns, strict=True)
    }
    markers = {name: column.markers for name, column in columns.items() if column.markers}
    return _raw_table(columns, notes, markers=markers, from_text=True)


def _raw_table(
    columns: Mapping[str, CleanColumn], notes: list[str], *, markers: dict[str, tuple[str, ...]], from_text: bool
) -> RawTable:
    if trimmed := [name for name, column in columns.items() if column.was_trimmed]:
        notes.append(f"White space around values was removed in {', '.join(trimmed)}.")
    if commas := [name for name, column in columns.items() if column.has_decimal_commas]:
        notes.append(f"The comma is the decimal sign in {', '.join(commas)}.")
    table = pa.table({name: column.values for name, column in columns.items()})
    return RawTable(table=table, notes=tuple(notes), markers=markers, from_text=from_text)


def csv_header(path: Path) -> tuple[str, list[str]]:
    """The separator for which the first rows agree on the most columns, and the cells of the header."""
    best: tuple[int, str, list[str]] | None = None
    for separator in SEPARATORS:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = [row for row in islice(csv.reader(file, delimiter=separator), 20) if row]
        except UnicodeDecodeError as err:
            raise _not_utf8(path) from err
        except csv.Error as err:
            raise UsageError(f"{path} is not CSV: {err}. Save the table as CSV (UTF-8) or Parquet.") from err
        if not rows:
            raise UsageError(f"{path} has only blank lines, expected a header row and data rows.")
        agreeing = sum(len(row) == len(rows[0]) for row in rows)
        score = len(rows[0]) * agreeing if agreeing > len(rows) / 2 else 0
        if best is None or score > best[0]:
            best = (score, separator, rows[0])
    assert best is not None
    return best[1], best[2]


def checked_names(names: list[str], path: Path) -> list[str]:
    """Check that contract, Hydra and Parquet can all represent the column names.

    Raises:
        UsageError: A name is blank, duplicate, or contains something that Hydra would resolve.
    """
    for number, name in enumerate(names, start=1):
        if not name.strip():
            hint = " If it is pandas' index, save with index=False." if number == 1 else ""
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
        return _not_utf8(path)
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
        return _not_utf8(path)
    except csv.Error:
        pass
    return UsageError(f"{path} is not CSV: {str(err).splitlines()[0]:.200} Save the table as CSV (UTF-8) or Parquet.")


def _not_utf8(path: Path) -> UsageError:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as err:
                return UsageError(
                    f"{path} is not UTF-8: line {number} contains the byte 0x{line[err.start]:02x}. "
                    "Save it as UTF-8; in a spreadsheet, choose 'CSV UTF-8'."
                )
    return UsageError(f"{path} is not UTF-8; save it as UTF-8.")


def _read_parquet(path: Path, types: Mapping[str, str]) -> RawTable:
    import pyarrow.parquet as parquet

    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise UsageError(
            f"{path} is not a Parquet file: {str(err).splitlines()[0]:.200} Save the table as Parquet again, or as CSV."
        ) from err
    names = data_columns(table.column_names)
    notes = ["pandas' index was dropped."] if len(names) < table.num_columns else []
    checked_names(names, path)
    columns = {
        name: clean_parquet_column(table.column(name), name=name, path=path, column_type=types.get(name))
        for name in names
    }
    return _raw_table(columns, notes, markers={}, from_text=False)


def data_columns(names: Iterable[str]) -> list[str]:
    """The names without those that pandas gives an index that has none."""
    return [name for name in names if not (name.startswith("__index_level_") and name.endswith("__"))]
