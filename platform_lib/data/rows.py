"""Rows as tuples in the contract's order, and as columns: what lies between a caller's JSON and a model's frame."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from platform_lib.data.contract import DataContract, columns_from_rows

Row = tuple[Any, ...]
"""The values of one row, one a feature in the contract's order, as they came; None is missing."""


def rows_of(given: Sequence[Mapping[str, Any]], contract: DataContract) -> list[Row]:
    """Check JSON-like rows, strictly.

    Raises:
        UsageError: As `columns_from_rows`.
    """
    return list(zip(*columns_from_rows(given, contract).values(), strict=True))


class ColumnRows:
    """Rows that came as columns and stay so: making a tuple of each would cost more than most models do."""

    __slots__ = ("columns",)

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        """Keep them: one sequence of n values a feature, in the contract's order, at least one."""
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[Row]:
        return zip(*self.columns, strict=True)


Rows = Sequence[Row] | ColumnRows


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several requests, one after the other."""
    if len(parts) == 1:
        return parts[0]
    by_column = [part.columns for part in parts if isinstance(part, ColumnRows)]
    if len(by_column) < len(parts):
        return list(chain.from_iterable(parts))
    return ColumnRows([list(chain.from_iterable(pieces)) for pieces in zip(*by_column, strict=True)])


def columns_of(rows: Rows, features: Sequence[str]) -> dict[str, Sequence[Any]]:
    """One sequence of n values a feature.

    Args:
        features: The contract's, in its order.
    """
    if isinstance(rows, ColumnRows):
        return dict(zip(features, rows.columns, strict=True))
    return dict(zip(features, zip(*rows, strict=True), strict=True))
