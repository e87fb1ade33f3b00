"""Hypothesis strategies for rows that a contract accepts."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from platform_lib.data.contract import Column, DataContract


def values(column: Column) -> st.SearchStrategy[Any]:
    """Any value that the contract accepts, in range or not."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(-(10**12), 10**12) | st.integers(-100, 100).map(float),
        "number": st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
        | st.integers(-(10**9), 10**9),
        "boolean": st.booleans(),
        "string": st.text(max_size=8) | st.sampled_from(column.allowed or ["x"]),
        "datetime": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda time: time.isoformat()),
    }
    return st.none() | kinds[column.type] if column.nullable else kinds[column.type]


def any_rows(contract: DataContract) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries({name: values(contract.columns[name]) for name in contract.features}),
        min_size=1,
        max_size=6,
    )
