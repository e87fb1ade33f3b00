"""Choose representative rows of a frame, as a caller would send them, without values of private columns."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import Column, ColumnType, DataContract

if TYPE_CHECKING:
    import pandas as pd


_MADE_UP: dict[ColumnType, Any] = {
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "string": "text",
    "datetime": "2026-01-31T12:00:00",
}


def made_up_value(column: Column) -> Any:
    """A JSON-able value that only the column's type decides, so that it tells nothing about the data."""
    return _MADE_UP[column.type]


def made_up_row(contract: DataContract) -> dict[str, Any]:
    """A valid row, as a caller would send it, that tells nothing about the data."""
    return {name: made_up_value(contract.columns[name]) for name in contract.features}


def typical_value(column: Column) -> Any:
    """A JSON-able value that fits the contract, for use where no real value exists; made up for a private column."""
    if column.is_private:
        return made_up_value(column)
    if column.allowed:
        return column.allowed[0]
    low = column.min if column.min is not None else 0.0
    middle = (low + (column.max if column.max is not None else low)) / 2
    match column.type:
        case "integer":
            return round(middle)
        case "number":
            return round(middle, 3)
        case _:
            return made_up_value(column)


def sample_rows(
    frame: "pd.DataFrame", labels: NDArray[Any] | None, contract: DataContract, most: int
) -> list[dict[str, Any]]:
    """Choose representative rows: a missing value of each column that has one, each label, and others evenly spaced.

    Args:
        frame: n rows of features, from `data.frame.feature_frame`.
        labels: A model's prediction for each row, shape (n,); None for regression.
        contract: Of the frame.
        most: Largest number of rows.
    Returns:
        JSON-able mappings in the contract's order, valid as a request. Private columns have made-up values.
    """
    shown = [name for name in contract.features if not contract.columns[name].is_private]
    never_missing = [name for name in shown if not contract.columns[name].nullable]
    usable = (
        np.flatnonzero(~frame[never_missing].isna().any(axis=1).to_numpy()) if never_missing else np.arange(len(frame))
    )
    chosen: dict[int, None] = {}
    for name in shown:
        gaps = frame[name].isna().to_numpy()[usable]
        if gaps.any():
            chosen[int(usable[gaps.argmax()])] = None
    if labels is not None:
        for place in np.unique(labels[usable].astype(str), return_index=True)[1].tolist():
            chosen[int(usable[place])] = None
    for place in np.linspace(0, len(usable) - 1, min(most, len(usable))).astype(int).tolist() if len(usable) else []:
        chosen[int(usable[place])] = None
    return rows_as_sent(frame.iloc[list(chosen)[:most]], contract)


def rows_as_sent(frame: "pd.DataFrame", contract: DataContract) -> list[dict[str, Any]]:
    """A feature frame's n rows as JSON-able mappings.

    `feature_frame` converts them back to the same frame, except for private columns, whose values are made up.
    """
    columns = {name: column_as_sent(frame[name], contract.columns[name]) for name in contract.features}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def column_as_sent(series: "pd.Series", column: Column) -> Sequence[Any]:
    """A typed column's n values as a caller would send them; made up for a private column."""
    if column.is_private:
        return [made_up_value(column)] * len(series)
    missing = series.isna().tolist()
    values = series.dt.to_pydatetime().tolist() if column.type == "datetime" else series.tolist()
    plain = _PLAIN[column.type]
    return [None if is_missing else plain(value) for value, is_missing in zip(values, missing, strict=True)]


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "string": str,
    "datetime": datetime.isoformat,
}
