"""Predict a table file in chunks, and write it with the predictions to another file. The caller loads the model."""

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import shown
from platform_lib.data.files.batches import BatchFile, TableBatch, open_batches
from platform_lib.data.files.reading import CSV_SUFFIXES, PARQUET_SUFFIXES
from platform_lib.data.frame import EXPECTED, convert, feature_frame
from platform_lib.errors import StorageError, UsageError
from platform_lib.files import atomic_replacement
from platform_lib.model.artifact import LoadedModel, Predictions, category_text
from platform_lib.names import PREDICTION_COLUMN, PROBABILITY_PREFIX
from platform_lib.serving.predictor import predict_table
from platform_lib.storage_errors import storage_error

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_A_TIME = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """The result of predicting a table."""

    rows: int
    columns: tuple[str, ...]
    """The added columns."""


def check_output(out: Path) -> None:
    """Check the output before anything slow happens.

    Raises:
        UsageError: Its suffix is unknown, or the folder is missing.
        StorageError: The folder is not writable.
    """
    suffix = out.suffix.lower()
    known = CSV_SUFFIXES + PARQUET_SUFFIXES
    if suffix not in known:
        raise UsageError(f"--out {out} ends in {suffix or 'nothing'!r}, expected one of {', '.join(known)}.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder, expected a file.")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: the folder {out.parent} does not exist. Create it first.")
    if not os.access(out.parent, os.W_OK):
        raise StorageError(
            f"--out {out}: the folder {out.parent.absolute()} is not writable, or its file system is read-only.",
            "Choose another folder, or make it writable.",
        )


def predict_file(
    model: LoadedModel, file: Path, out: Path, *, progress: Callable[[int, int | None], None]
) -> BatchResult:
    """Copy the table with the added column `prediction` and one column `probability_<class>` per class.

    Args:
        model: The loaded model.
        file: The table, CSV or Parquet.
        out: The output, CSV or Parquet by its suffix.
        progress: Called with the number of rows done and, if known, the number of all rows.
    Raises:
        UsageError: The table does not fit the contract, or cannot be read or written; `out` is unchanged then.
    """
    check_output(out)
    source = open_batches(file, model.contract.readings)
    if out.exists() and out.samefile(file):
        raise UsageError(f"--out is {file} itself. Choose another name, so that the table is not overwritten.")
    added: tuple[str, ...] = ()
    rows = 0
    _check_columns(source, model)
    with _writer(out, source) as writer:
        for batch in source.batches(ROWS_AT_A_TIME):
            predictions = _answer(model, batch, file)
            answers = prediction_columns(predictions)
            if not added:
                added = tuple(answers)
                _refuse_taken(source, added)
            writer.write(batch.cells, answers)
            rows += batch.cells.num_rows
            progress(rows, source.rows)
        if rows == 0:
            raise UsageError(f"{file} has a header but no rows to predict.")
    return BatchResult(rows=rows, columns=added)


def prediction_columns(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """Return the added columns by name, shape (n,) each: labels with their own type, numbers as float64."""
    columns: dict[str, NDArray[Any]] = {PREDICTION_COLUMN: predictions.values}
    if predictions.probabilities is not None:
        for number, label in enumerate(predictions.classes):
            columns[f"{PROBABILITY_PREFIX}{category_text(label)}"] = predictions.probabilities[:, number]
    return columns


def _check_columns(source: BatchFile, model: LoadedModel) -> None:
    missing = [name for name in model.contract.features if name not in source.columns]
    if missing:
        raise UsageError(
            f"{source.path} lacks the column {missing[0]!r}; "
            f"{model.name} version {model.version} needs {', '.join(model.contract.features)}."
        )
    _refuse_taken(source, (PREDICTION_COLUMN,))


def _refuse_taken(source: BatchFile, added: tuple[str, ...]) -> None:
    if taken := [name for name in added if name in source.columns]:
        raise UsageError(
            f"{source.path} already has a column {taken[0]!r}, which the predictions would overwrite. "
            "Rename or remove it."
        )


def _answer(model: LoadedModel, batch: TableBatch, file: Path) -> Predictions:
    table = batch.values.select(list(model.contract.features)).to_pandas()
    try:
        frame = feature_frame(table, model.contract)
    except UsageError:
        raise _first_bad_value(model, batch, table, file) from None
    for name in model.contract.features:
        column = model.contract.columns[name]
        values = frame[name]
        bad = values.isna() & (not column.nullable)
        if column.type == "integer":
            bad |= values.notna() & (values % 1 != 0)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            given = "missing" if pd.isna(values.iloc[row]) else shown(table[name].iloc[row], column)
            never = "; the contract says it is never missing" if given == "missing" else ""
            raise UsageError(
                f"{file}: row {batch.first_row + row}, counted from 0: "
                f"column {name!r} is {given}, expected {EXPECTED[column.type]}{never}."
            )
    return predict_table(model, table)


def _first_bad_value(model: LoadedModel, batch: TableBatch, table: pd.DataFrame, file: Path) -> UsageError:
    """Return an error that names the row of the file, not of the chunk."""
    found: list[tuple[int, str]] = []
    for name in model.contract.features:
        _, bad = convert(table[name], model.contract.columns[name])
        if bad.size:
            found.append((int(bad[0]), name))
    row, name = min(found)
    column = model.contract.columns[name]
    return UsageError(
        f"{file}: row {batch.first_row + row}, counted from 0: "
        f"column {name!r} is {shown(table[name].iloc[row], column)}, expected {EXPECTED[column.type]}."
    )


class _Writer(Protocol):
    def write(self, table: "pa.Table", answers: dict[str, NDArray[Any]]) -> None: ...

    def close(self) -> None: ...


@contextmanager
def _writer(out: Path, source: BatchFile) -> Iterator[_Writer]:
    """Yield a writer to a temporary file next to `out`, which replaces `out` once everything is written."""
    try:
        with atomic_replacement(out) as draft:
            writer: _Writer = (
                _ParquetOut(draft)
                if out.suffix.lower() in PARQUET_SUFFIXES
                else _CsvOut(draft, _separator(out, source))
            )
            try:
                yield writer
                writer.close()
            except BaseException:
                with suppress(Exception):
                    writer.close()
                raise
    except OSError as err:
        raise storage_error(err) or UsageError(f"{out} cannot be written: {err.strerror or err}.") from err


def _separator(out: Path, source: BatchFile) -> str:
    if out.suffix.lower() == ".tsv":
        return "\t"
    own = source.layout.separator if source.layout else ","
    return own if own in (";", "|") else ","


class _CsvOut:
    def __init__(self, path: Path, separator: str) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file, delimiter=separator, lineterminator="\n")
        self._has_header = False

    def write(self, table: "pa.Table", answers: dict[str, NDArray[Any]]) -> None:
        if not self._has_header:
            self._csv.writerow([*table.column_names, *answers])
            self._has_header = True
        columns = [_texts(column) for column in table.columns]
        self._csv.writerows(zip(*columns, *(_labels(values) for values in answers.values()), strict=True))

    def close(self) -> None:
        self._file.close()


def _labels(values: NDArray[Any]) -> list[Any]:
    return [category_text(value) for value in values.tolist()] if values.dtype == bool else list(values.tolist())


def _texts(column: "pa.ChunkedArray") -> list[Any]:
    """Return the cells of a column: missing values are empty; booleans and times are as the reader expects."""
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        raise UsageError(f"a column holds {column.type}, which CSV cannot; write to a .parquet file.")
    if pa.types.is_boolean(column.type):
        return [None if value is None else category_text(value) for value in column.to_pylist()]
    if pa.types.is_timestamp(column.type):
        return [None if value is None else value.isoformat() for value in column.to_pandas(timestamp_as_object=True)]
    return list(column.to_pylist())


class _ParquetOut:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._parquet: Any = None

    def write(self, table: "pa.Table", answers: dict[str, NDArray[Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        for name, values in answers.items():
            table = table.append_column(name, pa.array(values))
        if self._parquet is None:
            self._parquet = parquet.ParquetWriter(self._path, table.schema.remove_metadata())
        self._parquet.write_table(table.replace_schema_metadata())

    def close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
