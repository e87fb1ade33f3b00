"""Labels from a file into the request log."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from platform_lib.errors import UsageError
from platform_lib.model.artifact import category_text
from platform_lib.serving.request_log.files import LABEL_SCHEMA, LABELS, LogFolder


def add_labels(folder: LogFolder, file: Path) -> int:
    """Write the labels of a CSV or Parquet file to the request log, as one file of it.

    Args:
        folder: The request log.
        file: With the columns request_id, label and, optionally, row.
    Returns:
        Number of labels.
    Raises:
        UsageError: The file cannot be read, lacks a column, or has a missing or invalid value; nothing is written.
    """
    table = _read(file)
    expected = "request_id, label and, for requests of several rows, row"
    for name in ("request_id", "label"):
        if name not in table.column_names:
            raise UsageError(f"{file.name} has the columns {', '.join(table.column_names)}; expected {expected}.")
    if not len(table):
        raise UsageError(f"{file.name} has no rows.")
    rows = table["row"] if "row" in table.column_names else pa.array([0] * len(table))
    try:
        row_numbers = pc.cast(rows, pa.int32())
    except pa.ArrowInvalid as err:
        raise UsageError(f"{file.name}: row has a value that is no whole number: {err}.") from err
    made = {
        "request_id": pc.utf8_trim_whitespace(pc.cast(table["request_id"], pa.string())),
        "row": row_numbers,
        "label": pa.array([None if value is None else category_text(value) for value in table["label"].to_pylist()]),
    }
    for name, column in made.items():
        if column.null_count or (name != "row" and pc.any(pc.equal(column, "")).as_py()):
            raise UsageError(f"{file.name}: {name} is missing in some rows; leave those rows out.")
    if (pc.min(row_numbers).as_py() or 0) < 0:
        raise UsageError(f"{file.name}: row is negative; it counts from 0.")
    now = datetime.now(UTC)
    made["time"] = pa.array([now] * len(table), LABEL_SCHEMA.field("time").type)
    labels = pa.table([made[field.name].cast(field.type) for field in LABEL_SCHEMA], schema=LABEL_SCHEMA)
    folder.write(LABELS, labels, now, sequence=0)
    return len(labels)


def _read(file: Path) -> pa.Table:
    try:
        if file.suffix.lower() == ".parquet":
            return pq.read_table(file)
        if file.suffix.lower() == ".csv":
            as_text = dict.fromkeys(("request_id", "label"), pa.string())
            options = pa.csv.ConvertOptions(column_types=as_text, strings_can_be_null=True)
            return pa.csv.read_csv(file, convert_options=options)
    except (pa.ArrowException, OSError) as err:
        raise UsageError(f"{file.name} cannot be read: {err}") from err
    raise UsageError(f"{file.name} is neither .csv nor .parquet.")
