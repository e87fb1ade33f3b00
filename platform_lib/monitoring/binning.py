"""Logged columns as counts in a reference profile's bins: what the server counts, computed from the request log."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_lib.model.profile import Bins, bin_of, seconds_of


def bin_indices(bins: Bins, values: pa.ChunkedArray) -> NDArray[np.intp]:
    """The bin of each logged value, equal to `bin_of` of it.

    Args:
        bins: Of the column.
        values: n values as the request log holds them.
    Returns:
        Shape (n,), indices into `bins.shares`.
    """
    if bins.kind == "number":
        numbers = _as_numbers(values)
        if numbers is not None:
            missing = np.isnan(numbers)
            found = np.searchsorted(np.asarray(bins.edges), numbers, side="right")
            return np.where(missing, len(bins.shares) - 1, found).astype(np.intp)
    encoded = values.combine_chunks().dictionary_encode() if len(values) else None
    if encoded is None:
        return np.empty(0, dtype=np.intp)
    places = [_place(bins, value) for value in encoded.dictionary.to_pylist()]
    lookup = np.array([*places, len(bins.shares) - 1], dtype=np.intp)  # the last is for null
    codes = pc.fill_null(encoded.indices, len(places)).to_numpy(zero_copy_only=False)
    return np.asarray(lookup[codes], dtype=np.intp)


def window_counts(bins: Bins, indices: NDArray[np.intp], window: NDArray[np.intp], windows: int) -> NDArray[np.int64]:
    """Count rows by window and bin.

    Args:
        bins: Of the column.
        indices: From `bin_indices`, shape (n,).
        window: The window of each row, shape (n,); -1 is not counted.
        windows: Number of windows.
    Returns:
        Shape (windows, bins).
    """
    width = len(bins.shares)
    kept = window >= 0
    flat = np.bincount(window[kept] * width + indices[kept], minlength=windows * width)
    return flat.reshape(windows, width).astype(np.int64)


def numbers_of(bins: Bins, values: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of numbers, or of times as seconds since 1970, shape (n,); NaN for a value that the model could not use.

    Args:
        bins: Of the column, of kind number or time.
        values: n values as the request log holds them.
    """
    numbers = _as_numbers(values) if bins.kind == "number" else None
    return np.array([_number(bins, value) for value in values.to_pylist()]) if numbers is None else numbers


def matrix_of(columns: Mapping[str, Bins], table: pa.Table) -> NDArray[np.float64]:
    """Columns as numbers for a tree: a category is its place among the most frequent of the reference.

    Args:
        columns: Name in the log, and bins, of k columns that the table has.
        table: n rows as the request log holds them.
    Returns:
        Shape (n, k).
    """
    found = [
        numbers_of(bins, table[name]) if bins.kind in ("number", "time") else bin_indices(bins, table[name])
        for name, bins in columns.items()
    ]
    return np.column_stack(found).astype(np.float64) if found else np.empty((len(table), 0))


def _number(bins: Bins, value: object) -> float:
    try:
        return float("nan") if value is None else float(value) if bins.kind == "number" else seconds_of(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _as_numbers(values: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """Numbers with NaN for null; None where a column changed its type to text, some of which is not a number."""
    try:
        return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:
        return None


def _place(bins: Bins, value: object) -> int:
    if isinstance(value, str):
        value = value.strip() or None
    try:
        return bin_of(bins, value)
    except (TypeError, ValueError):
        return len(bins.shares) - 1  # text in a column of numbers or times: no value that the model could use
