"""What the request log holds of one version: rows, predictions, and the labels that came later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_lib.errors import NotFound
from platform_lib.model.artifact import Predictions
from platform_lib.serving.request_log.files import LABELS, LogFolder


def predictions_of(rows: pa.Table) -> Predictions:
    """The logged predictions of n rows, with probabilities where every row has one for each class.

    Args:
        rows: Of the request log, of one version.
    """
    if pa.types.is_floating(rows["prediction"].type):
        return Predictions(rows["prediction"].to_numpy().astype(np.float64), None)
    values = np.asarray(rows["prediction"].to_pylist(), dtype=object)
    found = _matrix(rows["probabilities"].combine_chunks()) if len(rows) else None
    return Predictions(values, None) if found is None else Predictions(values, found[1], found[0])


def _matrix(maps: pa.MapArray) -> tuple[tuple[str, ...], NDArray[np.float64]] | None:
    if maps.null_count:
        return None
    keys, items = maps.keys, maps.items  # of all rows, one after another
    classes = tuple(keys.slice(0, maps.offsets[1].as_py() - maps.offsets[0].as_py()).to_pylist())
    if not classes or len(keys) != len(maps) * len(classes):
        return None
    codes = keys.dictionary_encode()
    expected = [codes.dictionary.to_pylist().index(name) for name in classes]
    if not (codes.indices.to_numpy().reshape(len(maps), -1) == expected).all():
        return None
    return classes, items.to_numpy().astype(np.float64).reshape(len(maps), len(classes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """The labels that fit the logged rows."""

    rows: NDArray[np.intp]
    """Positions of the labelled rows in the table, shape (m,)."""
    truth: NDArray[np.object_]
    """Their labels, as text, shape (m,)."""
    delays: NDArray[np.float64]
    """Seconds between prediction and label, shape (m,)."""
    duplicates: int
    """Labels that a later one of the same row replaced."""
    unknown: int
    """Labels of rows that are not in the log."""


def join_labels(folder: LogFolder, rows: pa.Table, *, since: datetime, known: pa.Table) -> Labels:
    """Join labels to rows by request id and position; of several for one row, the latest counts.

    Args:
        folder: The request log.
        rows: n logged rows with request_id, row and time.
        since: No label is older, UTC.
        known: request_id and row of all rows that are logged, of any version.
    """
    try:
        labels = folder.read(LABELS, since=since)
    except NotFound:
        empty = np.empty(0)
        return Labels(rows=empty.astype(np.intp), truth=empty.astype(object), delays=empty, duplicates=0, unknown=0)
    labels = labels.append_column("order", pa.array(np.arange(len(labels))))
    last = labels.group_by(["request_id", "row"]).aggregate([("order", "max")])["order_max"]
    latest = labels.take(last.sort())
    in_log = latest.join(_keys(known), ["request_id", "row"], join_type="left semi")
    placed = rows.select(["request_id", "row", "time"]).append_column("place", pa.array(np.arange(len(rows))))
    joined = latest.rename_columns(["request_id", "row", "labelled", "label", "order"]).join(
        placed, ["request_id", "row"], join_type="inner"
    )
    joined = joined.sort_by("place")
    delays = pc.subtract(joined["labelled"], joined["time"]).cast(pa.int64()).to_numpy() / 1e6
    return Labels(
        rows=joined["place"].to_numpy().astype(np.intp),
        truth=np.asarray(joined["label"].to_pylist(), dtype=object),
        delays=delays,
        duplicates=len(labels) - len(latest),
        unknown=len(latest) - len(in_log),
    )


def _keys(known: pa.Table) -> pa.Table:
    return known.select(["request_id", "row"]).group_by(["request_id", "row"]).aggregate([])


def as_numbers(labels: Sequence[object]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Labels of a regression as numbers, and which of the n are finite numbers."""
    numbers = np.full(len(labels), np.nan)
    for place, label in enumerate(labels):
        try:
            numbers[place] = float(str(label))
        except ValueError:
            continue
    return numbers, np.isfinite(numbers)
