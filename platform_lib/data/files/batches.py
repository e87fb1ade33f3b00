"""Read a CSV or Parquet file in parts of bounded size: the cells as in the file, and their values. `reading` reads
whole files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from platform_lib.data.files.cleaning import clean_csv_column, clean_parquet_column
from platform_lib.data.files.reading import (
    PARQUET_SUFFIXES,
    checked_names,
    checked_suffix,
    csv_error,
    csv_header,
    data_columns,
)
from platform_lib.errors import UsageError

_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class TableBatch:
    """Some consecutive rows of a file."""

    first_row: int
    """Position of the first row in the file, from 0."""
    cells: pa.Table
    """What was read: CSV as text, Parquet in its own types."""
    values: pa.Table
    """The columns that have a contract type, as `read_raw` gives them; see `cleaning`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchFile:
    """A table file that is read in batches."""

    path: Path
    columns: tuple[str, ...]
    separator: str | None
    """Of CSV; None for Parquet."""
    rows: int | None
    """Number of rows; None for CSV, where only reading tells."""
    schema: pa.Schema
    """Of `TableBatch.cells`."""
    types: Mapping[str, str]
    """Contract types by column, which decide how cells are read; see `cleaning`."""

    def batches(self, max_rows: int) -> Iterator[TableBatch]:
        """Read the file from the start, in batches of at most `max_rows` rows.

        Raises:
            UsageError: The content does not fit the suffix; says what is wrong and where.
        """
        first_row = 0
        for part in self._parts(max_rows):
            for start in range(0, part.num_rows, max_rows):
                table = part.slice(start, max_rows)
                yield TableBatch(first_row=first_row, cells=table, values=self._cleaned(table))
                first_row += table.num_rows

    def _parts(self, max_rows: int) -> Iterator[pa.Table]:
        try:
            if self.separator is None:
                import pyarrow.parquet as parquet

                for batch in parquet.ParquetFile(self.path).iter_batches(
                    batch_size=max_rows, columns=list(self.columns)
                ):
                    yield pa.Table.from_batches([batch], schema=self.schema)
            else:
                for batch in _open_csv(self.path, self.separator, len(self.columns)):
                    yield pa.Table.from_batches([batch]).rename_columns(list(self.columns))
        except pa.ArrowInvalid as err:
            if self.separator is None:
                raise _not_parquet(self.path, err) from err
            raise csv_error(self.path, self.separator, len(self.columns), err) from err
        except OSError as err:
            raise UsageError(f"{self.path} cannot be read: {err.strerror or err}.") from err

    def _cleaned(self, cells: pa.Table) -> pa.Table:
        return pa.table({name: self._clean(cells[name], name) for name in self.columns if name in self.types})

    def _clean(self, cells: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        column_type = self.types[name]
        if self.separator is None:
            return clean_parquet_column(cells, name=name, path=self.path, column_type=column_type).values
        return clean_csv_column(cells, separator=self.separator, column_type=column_type).values


def open_batches(path: Path, types: Mapping[str, str]) -> BatchFile:
    """Read a file's header.

    Args:
        path: Of a CSV or Parquet file.
        types: Contract types by column; other columns have cells but no values.

    Raises:
        NotFound: The file does not exist.
        UsageError: The content does not fit the suffix.
    """
    if checked_suffix(path) in PARQUET_SUFFIXES:
        return _open_parquet(path, types)
    try:
        separator, header = csv_header(path)
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror or err}.") from err
    names = checked_names([name.strip() for name in header], path)
    return BatchFile(
        path=path,
        columns=tuple(names),
        separator=separator,
        rows=None,
        schema=pa.schema([(name, pa.string()) for name in names]),
        types=types,
    )


def _open_parquet(path: Path, types: Mapping[str, str]) -> BatchFile:
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise _not_parquet(path, err) from err
    names = data_columns(file.schema_arrow.names)
    checked_names(names, path)
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    return BatchFile(
        path=path, columns=tuple(names), separator=None, rows=file.metadata.num_rows, schema=schema, types=types
    )


def _open_csv(path: Path, separator: str, width: int) -> "pa.RecordBatchReader":
    from pyarrow import csv as arrow_csv

    placeholders = [str(number) for number in range(width)]
    return arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(column_names=placeholders, skip_rows_after_names=1, block_size=_BLOCK_BYTES),
        parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(placeholders, pa.string()), strings_can_be_null=False
        ),
    )


def _not_parquet(path: Path, err: Exception) -> UsageError:
    return UsageError(
        f"{path} is not a Parquet file: {str(err).splitlines()[0]:.200} Save the table as Parquet again, or as CSV."
    )
