"""Rows to compare two ways to a model's answers on, and the answers to them: training keeps what its pipeline said, a server asks its fast path.

Honest rows are drawn from the reference profile; edge rows are all missing, unknown categories, extremes, whole numbers as floats.
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

_HONEST_ROWS = 64

Predict = Callable[[Mapping[str, Sequence[Any]]], Predictions]
"""From n checked values a column to n answers."""


def probe_rows(contract: DataContract, example: Row, profile: Profile | None) -> list[Row]:
    """Rows to compare on; the same ones each time."""
    dice = random.Random(0)
    features = contract.features
    honest = [
        tuple(_honest(name, place, contract, example, profile, dice) for place, name in enumerate(features))
        for _ in range(_HONEST_ROWS)
    ]
    choices = [_edges(contract.columns[name], example[place]) for place, name in enumerate(features)]
    longest = max(len(values) for values in choices)
    # The whole row at its edges, and each column alone at each of its edges.
    edges = [tuple(values[min(step, len(values) - 1)] for values in choices) for step in range(longest)]
    edges += [
        (*example[:place], value, *example[place + 1 :]) for place, values in enumerate(choices) for value in values
    ]
    return [example, *honest, *edges]


def _honest(
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
    """What one row is answered."""

    value: Any
    probabilities: tuple[float, ...] | None


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """No warnings while check rows are answered: they are strange on purpose."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def predict_each(predict: Predict, rows: Sequence[Row], contract: DataContract) -> list[RowPrediction | None]:
    """The answer to each row, None where it is refused or no number, which callers are told alike. As few calls as the refused ones allow."""
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
    except Exception:  # whatever the pipeline refuses rows with
        if len(rows) == 1:
            return [None]
    if len(rows) == 1:
        return [None]
    half = len(rows) // 2
    return predict_each(predict, rows[:half], contract) + predict_each(predict, rows[half:], contract)
