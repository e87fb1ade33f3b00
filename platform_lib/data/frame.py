"""The frame that a pipeline sees, in training, batch prediction and serving. The contract type decides the dtype.

- integer, number, boolean → float64 (true is 1.0; missing and infinite values are NaN)
- string → object, without white space around a text (missing and blank ones are NaN)
- datetime → datetime64[us], UTC without a zone

Each value is converted independently of the others, so a row gives the same values alone and in a batch. `quality`
checks the values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import Column, DataContract, shown
from platform_lib.data.times import utc
from platform_lib.errors import CheckFailed, UsageError


def feature_frame(table: Mapping[str, Any] | pd.DataFrame, contract: DataContract) -> pd.DataFrame:
    """Convert raw columns to the frame of features.

    Args:
        table: Per feature n values, as lists of a request or columns of a table; other columns are ignored.
        contract: Names, order and types of the features.
    Returns:
        Shape (n, number of features), columns in the contract's order.
    Raises:
        UsageError: A column is missing, or a value cannot be read as its type; names column, row and value.
    """
    return _frame(table, contract, contract.features, "the model needs")


def typed_table(table: Mapping[str, Any] | pd.DataFrame, contract: DataContract) -> pd.DataFrame:
    """Like `feature_frame`, with all columns of the contract: target, id and time too."""
    return _frame(table, contract, tuple(contract.columns), "the contract names")


def target_values(table: pd.DataFrame, contract: DataContract) -> NDArray[Any]:
    """The target of each row, as models learn and predict it.

    Returns:
        Shape (n,): float64 for regression; for classification the labels, as object (str), bool or int64 by the
        target's type.
    Raises:
        CheckFailed: A row has no target.
    """
    column = contract.columns[contract.target]
    values = typed_values(table[contract.target], contract.target, column)
    missing = np.asarray(pd.isna(values))
    if count := int(missing.sum()):
        raise CheckFailed(
            f"{count} row{' has' if count == 1 else 's have'} no value in the target {contract.target!r}, the first is "
            f"row {int(missing.argmax())}. "
            "Drop such rows, as `mlp data import` does."
        )
    if contract.task == "regression":
        return np.asarray(values, dtype=np.float64)
    match column.type:
        case "boolean":
            return np.asarray(values == 1.0)
        case "integer":
            return np.asarray(values, dtype=np.int64)
        case _:
            return np.asarray(values)


def typed_values(values: Sequence[Any] | pd.Series, name: str, column: Column) -> NDArray[Any]:
    """Convert one column's n values to the dtype of its contract type; see the module.

    Args:
        values: Shape (n,).
        name: Of the column, for errors.
        column: Its entry in the contract.
    Returns:
        Shape (n,).
    Raises:
        UsageError: A value cannot be read as the type; names the column, the row (from 0) and the value.
    """
    series = _series(values)
    typed, bad = convert(series, column)
    if bad.size:
        row = int(bad[0])
        raise UsageError(
            f"row {row}: column {name!r} is {shown(series.iloc[row], column)}, expected {EXPECTED[column.type]}."
        )
    return typed


EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "datetime": "an ISO 8601 date or time",
}


def convert(series: pd.Series, column: Column) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Convert the values of a column that can be converted to its contract type.

    Args:
        series: Raw values, shape (n,).
        column: Its entry in the contract.
    Returns:
        The typed values, shape (n,), missing where one cannot be converted; and the positions of those m values, shape
        (m,).
    """
    match column.type:
        case "string":
            return _texts(series)
        case "datetime":
            return _times(series)
        case "boolean":
            return _booleans(series)
        case _:
            return _numbers(series)


def _frame(
    table: Mapping[str, Any] | pd.DataFrame, contract: DataContract, names: tuple[str, ...], needs: str
) -> pd.DataFrame:
    missing = [name for name in names if name not in table]
    if missing:
        raise UsageError(f"the table lacks the column {missing[0]!r}; {needs} {', '.join(names)}.")
    index = table.index if isinstance(table, pd.DataFrame) else None
    return pd.DataFrame(
        {name: _column(table[name], name, contract.columns[name], index) for name in names}, index=index
    )


def _column(values: Sequence[Any] | pd.Series, name: str, column: Column, index: pd.Index | None) -> pd.Series:
    typed = typed_values(values, name, column)
    # The dtype is explicit because pandas 3 would convert objects that are texts to its own text type.
    return pd.Series(typed, index=index, dtype=typed.dtype, copy=False)


def _series(values: Sequence[Any] | pd.Series) -> pd.Series:
    try:
        return pd.Series(values, copy=False)
    except OverflowError:  # pandas 2, on a whole number beyond every float
        return pd.Series(values, copy=False, dtype=object)


def _texts(series: pd.Series) -> tuple[NDArray[Any], NDArray[np.intp]]:
    objects = _objects(series)
    if (repeated := _repeated_texts(objects)) is not None:
        return repeated, _NONE
    return _filled(
        objects, (value.strip() or np.nan if type(value) is str else _text(value) for value in objects.tolist())
    ), _NONE


_SOME_ROWS = 1000


def _repeated_texts(objects: NDArray[Any]) -> NDArray[Any] | None:
    """The texts of a long column with few different ones, each converted once; None for any other column."""
    some = objects[:_SOME_ROWS].tolist()
    if len(objects) <= _SOME_ROWS or len(set(map(type, some)) - {str, float}) or len(set(some)) > _SOME_ROWS // 2:
        return None
    codes, values = pd.factorize(objects)
    if not all(type(value) is str for value in values):
        return None
    texts = _filled(np.empty(len(values) + 1), [*(value.strip() or np.nan for value in values), np.nan])
    return texts[codes]  # a missing value has code -1, which selects the last one


def _text(value: Any) -> Any:
    """Write whole numbers without a fraction: a missing value elsewhere in the column makes them floats."""
    if _is_missing(value):
        return np.nan
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or np.nan


def _numbers(series: pd.Series) -> tuple[NDArray[Any], NDArray[np.intp]]:
    if pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        return _finite(series.to_numpy(dtype=np.float64, na_value=np.nan)), _NONE
    objects = _objects(series)
    try:
        return _finite(objects.astype(np.float64)), _NONE
    except (TypeError, ValueError, OverflowError):
        numbers, bad = _each(objects, float)
        return _finite(numbers.astype(np.float64)), bad


def _finite(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    infinite = np.isinf(numbers)
    return np.where(infinite, np.nan, numbers) if infinite.any() else numbers


_BOOLEANS = {True: 1.0, False: 0.0, "true": 1.0, "false": 0.0, "True": 1.0, "False": 0.0, "TRUE": 1.0, "FALSE": 0.0}


def _booleans(series: pd.Series) -> tuple[NDArray[Any], NDArray[np.intp]]:
    values, bad = _each(_objects(series), _BOOLEANS.__getitem__)
    return values.astype(np.float64), bad


def _times(series: pd.Series) -> tuple[NDArray[Any], NDArray[np.intp]]:
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        times = series if series.dt.tz is None else series.dt.tz_convert("UTC").dt.tz_localize(None)
        return times.to_numpy(dtype="datetime64[us]"), _NONE
    values, bad = _each(_objects(series), utc)
    return np.array([None if value is np.nan else value for value in values], dtype="datetime64[us]"), bad


_NONE: NDArray[np.intp] = np.empty(0, dtype=np.intp)


def _objects(series: pd.Series) -> NDArray[Any]:
    return series.to_numpy(dtype=object, na_value=np.nan)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def _each(objects: NDArray[Any], read: Callable[[Any], Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    values: list[Any] = []
    bad: list[int] = []
    for row, value in enumerate(objects.tolist()):
        try:
            values.append(np.nan if _is_missing(value) else read(value))
        except (KeyError, TypeError, ValueError, OverflowError):
            values.append(np.nan)
            bad.append(row)
    return _filled(objects, values), np.array(bad, dtype=np.intp)


def _filled(like: NDArray[Any], values: Iterable[Any]) -> NDArray[Any]:
    out = np.empty(like.shape, dtype=object)
    out[:] = list(values)
    return out
