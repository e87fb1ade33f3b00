"""Read a CSV or Parquet file in parts of bounded size, with the same eyes as `reading`: the cells as they lie, and cleaned of markers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.files.reading import (
    MISSING_MARKERS,
    PARQUET_SUFFIXES,
    checked_names,
    checked_suffix,
    csv_error,
    csv_header,
    plain_column,
)
from platform_lib.errors import UsageError

_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Some rows of a file."""

    first_row: int
    """Position of the first one in the file, from 0."""
    as_it_lies: pa.Table
    """What was read: CSV as text, Parquet in its own types."""
    values: pa.Table
    """The same as `reading.read_raw` gives it: missing where a marker stood, decimal commas as points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchFile:
    """A file that is read part by part."""

    path: Path
    columns: tuple[str, ...]
    separator: str | None
    """Of CSV; None for Parquet."""
    rows: int | None
    """How many there are; None where only reading tells."""
    schema: pa.Schema
    """Of `as_it_lies`."""

    def batches(self, max_rows: int) -> Iterator[Batch]:
        """Read it from the start.

        Raises:
            UsageError: The file is not a table of its suffix; says what and where.
        """
        first_row = 0
        for part in self._parts(max_rows):
            for start in range(0, part.num_rows, max_rows):
                table = part.slice(start, max_rows)
                yield Batch(first_row=first_row, as_it_lies=table, values=self._cleaned(table))
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

    def _cleaned(self, table: pa.Table) -> pa.Table:
        return pa.table({name: self._clean(table[name], name) for name in self.columns})

    def _clean(self, column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        return plain_column(column, name, self.path) if self.separator is None else self._clean_text(column)

    def _clean_text(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        values = pc.utf8_trim_whitespace(column)
        values = pc.if_else(pc.is_in(values, value_set=pa.array(MISSING_MARKERS)), pa.scalar(None, pa.string()), values)
        if self.separator == ";":
            # Value by value, unlike `reading`, which sees whole columns: `3,5` among semicolons is a decimal number.
            values = pc.replace_substring_regex(values, r"^([+-]?\d+),(\d+)$", r"\1.\2")
        return values


def open_batches(path: Path) -> BatchFile:
    """Look at a file's header.

    Raises:
        NotFound: There is no such file.
        UsageError: It is not a table of its suffix.
    """
    if checked_suffix(path) in PARQUET_SUFFIXES:
        return _open_parquet(path)
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
    )


def _open_parquet(path: Path) -> BatchFile:
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise _not_parquet(path, err) from err
    # pandas writes its index as a column of this name where the index has none.
    names = [
        name for name in file.schema_arrow.names if not (name.startswith("__index_level_") and name.endswith("__"))
    ]
    checked_names(names, path)
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    return BatchFile(path=path, columns=tuple(names), separator=None, rows=file.metadata.num_rows, schema=schema)


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
