"""Read a CSV or Parquet file in parts of bounded size: the cells as in the file, and their values. `reading` reads
whole files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from platform_lib.data.files.cleaning import clean_csv_column, clean_parquet_column
from platform_lib.data.files.csv_layout import CsvLayout, csv_layout, csv_names
from platform_lib.data.files.formats import Reading
from platform_lib.data.files.reading import (
    PARQUET_SUFFIXES,
    checked_names,
    checked_suffix,
    csv_error,
    data_columns,
    not_parquet,
    parquet_file,
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
    layout: CsvLayout | None
    """Of CSV; None for Parquet."""
    rows: int | None
    """Number of rows; None for CSV, where only reading tells."""
    schema: pa.Schema
    """Of `TableBatch.cells`."""
    readings: Mapping[str, Reading]
    """By column of the contract; they decide how cells are read, see `cleaning`."""

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
            if self.layout is None:
                for batch in parquet_file(self.path).iter_batches(batch_size=max_rows, columns=list(self.columns)):
                    yield pa.Table.from_batches([batch], schema=self.schema)
            else:
                from pyarrow import csv as arrow_csv

                reader = arrow_csv.open_csv(
                    self.path, read_options=self.layout.read_options(_BLOCK_BYTES), **self.layout.options()
                )
                for batch in reader:
                    yield pa.Table.from_batches([batch]).rename_columns(list(self.columns))
        except pa.ArrowInvalid as err:
            if self.layout is None:
                raise not_parquet(self.path, err) from err
            raise csv_error(self.path, self.layout.separator, len(self.columns), err) from err
        except OSError as err:
            raise UsageError(f"{self.path} cannot be read: {err.strerror or err}.") from err

    def _cleaned(self, cells: pa.Table) -> pa.Table:
        return pa.table({name: self._clean(cells[name], name) for name in self.columns if name in self.readings})

    def _clean(self, cells: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        reading = self.readings[name]
        if self.layout is None:
            return clean_parquet_column(cells, name=name, path=self.path, column_type=reading.column_type).values
        return clean_csv_column(cells, separator=self.layout.separator, reading=reading).values


def open_batches(path: Path, readings: Mapping[str, Reading]) -> BatchFile:
    """Read a file's header.

    Args:
        path: Of a CSV or Parquet file.
        readings: By column of the contract; other columns have cells but no values.

    Raises:
        NotFound: The file does not exist.
        UsageError: The content does not fit the suffix.
    """
    if checked_suffix(path) in PARQUET_SUFFIXES:
        return _open_parquet(path, readings)
    try:
        layout = csv_layout(path)
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror or err}.") from err
    names = checked_names(csv_names(layout.header), path)
    return BatchFile(
        path=path,
        columns=tuple(names),
        layout=layout,
        rows=None,
        schema=pa.schema([(name, pa.string()) for name in names]),
        readings=readings,
    )


def _open_parquet(path: Path, readings: Mapping[str, Reading]) -> BatchFile:
    file = parquet_file(path)
    names = data_columns(file.schema_arrow.names)
    checked_names(names, path)
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    return BatchFile(
        path=path, columns=tuple(names), layout=None, rows=file.metadata.num_rows, schema=schema, readings=readings
    )
