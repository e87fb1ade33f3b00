"""Probe rows on which the pipeline and the fast path must agree, with their predictions.

Typical rows are drawn from the reference profile. Edge rows have missing values, unknown categories, extremes, and
whole numbers as floats.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_lib.data.contract import LARGEST_NUMBER, Column, DataContract
from platform_lib.data.rows import Row, columns_of
from platform_lib.model.artifact import Predictions
from platform_lib.model.profile import Bins, Profile

_TYPICAL_ROWS = 64
_MOST_EDGE_ROWS = 600

Predict = Callable[[Mapping[str, Sequence[Any]]], Predictions]
"""From n checked values per column to n predictions."""


def probe_rows(contract: DataContract, example: Row, profile: Profile | None) -> list[Row]:
    """The probe rows of a contract; equal arguments give equal rows.

    Args:
        contract: Names and types of the features.
        example: A valid row, around which edge rows are built.
        profile: Of the training rows, from which typical rows are drawn; None draws them from the contract.
    """
    dice = random.Random(0)
    features = contract.features
    typical = [
        tuple(_typical(name, place, contract, example, profile, dice) for place, name in enumerate(features))
        for _ in range(_TYPICAL_ROWS)
    ]
    choices = [_edges(contract.columns[name], example[place]) for place, name in enumerate(features)]
    longest = max(len(values) for values in choices)
    # All columns at an edge together, and each column at each of its edges alone; in a wide table together with the
    # few others of its group, so that the number of rows stays bounded.
    edges = [tuple(values[min(step, len(values) - 1)] for values in choices) for step in range(longest)]
    groups = max(1, min(len(features), _MOST_EDGE_ROWS // longest))
    for group in range(groups):
        for step in range(max(len(values) for values in choices[group::groups])):
            row = list(example)
            for place in range(group, len(features), groups):
                if step < len(choices[place]):
                    row[place] = choices[place][step]
            edges.append(tuple(row))
    return [example, *typical, *edges]


def _typical(
    name: str, place: int, contract: DataContract, example: Row, profile: Profile | None, dice: random.Random
) -> Any:
    column = contract.columns[name]
    if column.nullable and dice.random() < 0.1:
        return None
    bins = profile.features.get(name) if profile is not None else None
    if bins is None:
        return dice.choice([value for value in _known(column, example[place]) if value is not None] or [example[place]])
    return _of_bins(column, bins, example[place], dice)


def _of_bins(column: Column, bins: Bins, usual: Any, dice: random.Random) -> Any:
    if column.type == "boolean":
        return dice.random() < 0.5
    if column.type == "string":
        return dice.choice(bins.values) if bins.values else usual
    if not bins.edges:
        return usual
    if column.type == "datetime":
        from datetime import UTC, datetime

        try:
            return datetime.fromtimestamp(dice.choice(bins.edges), UTC).replace(tzinfo=None).isoformat()
        except (ValueError, OverflowError, OSError):
            return usual
    low, high = dice.choice(bins.edges), dice.choice(bins.edges)
    value = low + (high - low) * dice.random() if dice.random() < 0.7 else low
    return round(value) if column.type == "integer" else value


def _known(column: Column, usual: Any) -> list[Any]:
    if column.type == "string":
        return [usual, *(str(value) for value in column.allowed or [])]
    if column.type == "boolean":
        return [True, False]
    if column.type in ("integer", "number"):
        given = [usual, *(value for value in (column.min, column.max) if value is not None)]
        return [int(value) for value in given if value is not None] if column.type == "integer" else given
    return [usual]


def _edges(column: Column, usual: Any) -> list[Any]:
    edges: dict[str, list[Any]] = {
        "integer": [0, -1, 10**6, -(10**12), 7.0],
        "number": [0.0, -1, 3, 1e-300, 1e12, -1e12, LARGEST_NUMBER, -LARGEST_NUMBER],
        "boolean": [True, False],
        "string": ["", "no such category", "nan", "None", "ünï ✓", f" {usual}\t"],
        "datetime": [
            "1970-01-01",
            "2024-02-29T23:59:59.999999",
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59",
            "2031-06-15T12:00:00+02:00",
        ],
    }
    return [*([None] if column.nullable else []), *edges[column.type], *_known(column, usual)]


@dataclass(frozen=True, slots=True)
class RowPrediction:
    """The prediction for one row."""

    value: Any
    probabilities: tuple[float, ...] | None


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """Suppress warnings while probe rows are predicted: they are unusual on purpose."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def predict_each(predict: Predict, rows: Sequence[Row], contract: DataContract) -> list[RowPrediction | None]:
    """Predict each row; None where the pipeline rejects the row or does not return a finite number.

    Predicts all rows at once, and divides them only where one is rejected.

    Args:
        predict: The pipeline or a fast path.
        rows: n rows, one value per feature each.
        contract: Names of the features.
    Returns:
        n predictions.
    """
    if not rows:
        return []
    try:
        answers = predict(columns_of(rows, contract.features))
        numbers = [
            part for part in (answers.values, answers.probabilities) if part is not None and part.dtype.kind == "f"
        ]
        if all(np.isfinite(part).all() for part in numbers):
            probabilities = answers.probabilities.tolist() if answers.probabilities is not None else [None] * len(rows)
            return [
                RowPrediction(value, share and tuple(share))
                for value, share in zip(answers.values.tolist(), probabilities, strict=True)
            ]
    except Exception:  # a pipeline may reject rows with any error
        if len(rows) == 1:
            return [None]
    if len(rows) == 1:
        return [None]
    half = len(rows) // 2
    return predict_each(predict, rows[:half], contract) + predict_each(predict, rows[half:], contract)
