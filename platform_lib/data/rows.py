"""Rows as tuples in the contract's order, and as columns: what lies between a caller's JSON and a model's frame."""

from collections.abc import Mapping, Sequence
from typing import Any

from platform_lib.data.schema import DataContract, columns_from_rows

Row = tuple[Any, ...]
"""The values of one row, one a feature in the contract's order, as they came; None is missing."""


def rows_of(given: Sequence[Mapping[str, Any]], contract: DataContract) -> list[Row]:
    """Check JSON-like rows, strictly.

    Raises:
        UsageError: As `columns_from_rows`.
    """
    return list(zip(*columns_from_rows(given, contract).values(), strict=True))


def columns_of(rows: Sequence[Row], features: Sequence[str]) -> dict[str, Sequence[Any]]:
    """One sequence of n values a feature.

    Args:
        features: The contract's, in its order.
    """
    return dict(zip(features, zip(*rows, strict=True), strict=True))
