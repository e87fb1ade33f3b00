"""Rows as tuples in the contract's order, and as columns: between a caller's JSON and a model's frame."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from platform_lib.data.contract import DataContract, columns_from_rows

Row = tuple[Any, ...]
"""The values of one row as sent, one per feature in the contract's order; None is missing."""


def rows_of(given: Sequence[Mapping[str, Any]], contract: DataContract) -> list[Row]:
    """Check JSON-like rows strictly, and convert them to tuples.

    Raises:
        UsageError: As `columns_from_rows`.
    """
    return list(zip(*columns_from_rows(given, contract).values(), strict=True))


class ColumnRows:
    """Rows that were sent as columns and stay columns: converting them to tuples would take longer than most models."""

    __slots__ = ("columns",)

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        """Store one sequence of n values per feature, in the contract's order; at least one feature."""
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[Row]:
        return zip(*self.columns, strict=True)


Rows = Sequence[Row] | ColumnRows


def joined(parts: Sequence[Rows]) -> Rows:
    """Concatenate the rows of several requests."""
    if len(parts) == 1:
        return parts[0]
    by_column = [part.columns for part in parts if isinstance(part, ColumnRows)]
    if len(by_column) < len(parts):
        return list(chain.from_iterable(parts))
    return ColumnRows([list(chain.from_iterable(pieces)) for pieces in zip(*by_column, strict=True)])


def columns_of(rows: Rows, features: Sequence[str]) -> dict[str, Sequence[Any]]:
    """One sequence of n values per feature.

    Args:
        rows: n rows.
        features: Names of the features, in the contract's order.
    """
    if isinstance(rows, ColumnRows):
        return dict(zip(features, rows.columns, strict=True))
    return dict(zip(features, zip(*rows, strict=True), strict=True))
