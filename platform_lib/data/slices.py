"""Divide rows by the values of one column: categories, numbers, or quarters of many different numbers and times."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import Column

_MOST_VALUES = 20


def named_slices(series: pd.Series, column: Column) -> list[tuple[str, NDArray[np.intp]]]:
    """The slices of a column that have rows, in the order of its values.

    Args:
        series: One column of a feature frame, shape (n,).
        column: Its entry in the contract.
    Returns:
        Name and rows of each slice: positions from 0. A private column's slices are named `group 1`, `group 2`, …
    """
    if column.type == "boolean":
        series = series.map({0.0: "false", 1.0: "true"}).astype(object)
    values = slice_values(series)
    found = []
    for number, value in enumerate(dict.fromkeys(values.cat.categories), start=1):
        rows = np.flatnonzero(values == value)
        if rows.size:
            hidden = column.is_private and value not in ("other", "missing")
            found.append((f"group {number}" if hidden else str(value), rows))
    return found


def slice_values(series: pd.Series) -> pd.Series:
    """The slice of each row, as an ordered categorical of texts, shape (n,).

    Slices are the values, or quarters for numbers and times with more than 20 distinct values.

    Args:
        series: One typed column, shape (n,).
    """
    missing = series.isna()
    distinct = series[~missing].nunique()
    if series.dtype == object:
        common = series.value_counts().index[:_MOST_VALUES]
        texts = series.where(series.isin(common) | missing, "other").astype(str)
        order = [*sorted(common), "other"]
    elif distinct > _MOST_VALUES:
        edges = np.unique(series.quantile([0.25, 0.5, 0.75], interpolation="lower").to_numpy())
        named = [_text(edge) for edge in edges]
        order = [f"< {named[0]}", *(f"[{low}, {high})" for low, high in pairwise(named)), f">= {named[-1]}"]
        texts = pd.Series(
            np.array(order, dtype=object)[np.searchsorted(edges, series.to_numpy(), side="right")], index=series.index
        )
    else:
        order = [_text(value) for value in sorted(series[~missing].unique())]
        texts = series.map(_text)
    texts = texts.where(~missing, "missing")
    return pd.Series(pd.Categorical(texts, categories=list(dict.fromkeys([*order, "missing"]))), index=series.index)


def _text(value: Any) -> str:
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return pd.Timestamp(value).isoformat(sep=" ").removesuffix(" 00:00:00")
    return f"{value:g}" if isinstance(value, float) else str(value)
