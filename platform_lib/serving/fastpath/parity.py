"""Prove a fast pipeline equal to the real one before it answers anybody: same classes to the bit, numbers within 1e-9, and refusals of the same rows.

Asked are honest rows (the model's own example and values of its reference profile) and edge rows: all missing, unknown categories, extremes, whole
numbers as floats. Everything once as a batch and once row by row, since sums may come out differently.
"""

import math
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_lib.artifact import Predictions
from platform_lib.data.schema import LARGEST_NUMBER, Column, DataContract
from platform_lib.profile import Bins, Profile
from platform_lib.serving.decoding import Row, columns_of

TOLERANCE = 1e-9
_HONEST_ROWS = 64
_SMALLEST = 1e-300
_ROUNDING = 1e-14
"""Of a probability: one near 0 may be what a rounded one near 1 leaves."""

Predict = Callable[[Mapping[str, Sequence[Any]]], Predictions]


def check_rows(contract: DataContract, example: Row, profile: Profile | None) -> list[Row]:
    """Rows to compare on; the same ones each time."""
    dice = random.Random(0)
    features = contract.features
    honest = [tuple(_honest(name, place, contract, example, profile, dice) for place, name in enumerate(features)) for _ in range(_HONEST_ROWS)]
    choices = [_edges(contract.columns[name], example[place]) for place, name in enumerate(features)]
    longest = max(len(values) for values in choices)
    # The whole row at its edges, and each column alone at each of its edges.
    edges = [tuple(values[min(step, len(values) - 1)] for values in choices) for step in range(longest)]
    edges += [(*example[:place], value, *example[place + 1 :]) for place, values in enumerate(choices) for value in values]
    return [example, *honest, *edges]


def _honest(name: str, place: int, contract: DataContract, example: Row, profile: Profile | None, dice: random.Random) -> Any:
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
        "string": ["", "no such category", "nan", "None", "ünï ✓"],
        "datetime": ["1970-01-01", "2024-02-29T23:59:59.999999", "0001-01-01T00:00:00", "9999-12-31T23:59:59", "2031-06-15T12:00:00+02:00"],
    }
    return [*([None] if column.nullable else []), *edges[column.type], *_known(column, usual)]


def difference(ordinary: Predict, fast: Predict, rows: Sequence[Row], contract: DataContract) -> str | None:
    """Where the two differ first, None where they agree on everything."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = answers_each(ordinary, rows, contract)
        for number, row in enumerate(rows):
            given = answers_each(fast, [row], contract)[0]
            if found := _differ(expected[number], given):
                return f"row {number} of the check: {found}"
        answered = [(row, answer) for row, answer in zip(rows, expected, strict=True) if answer is not None]
        together = answers_each(fast, [row for row, _ in answered], contract)
        for (_, answer), given in zip(answered, together, strict=True):
            if found := _differ(answer, given):
                return f"all rows of the check at once: {found}"
    return None


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What one row is answered."""

    value: Any
    probabilities: tuple[float, ...] | None


def answers_each(predict: Predict, rows: Sequence[Row], contract: DataContract) -> list[RowAnswer | None]:
    """The answer to each row, None where it is refused or no number, which callers are told alike. As few calls as the refused ones allow."""
    if not rows:
        return []
    try:
        answers = predict(columns_of(rows, contract.features))
        numbers = [part for part in (answers.values, answers.probabilities) if part is not None and part.dtype.kind == "f"]
        if all(np.isfinite(part).all() for part in numbers):
            shares = answers.probabilities.tolist() if answers.probabilities is not None else [None] * len(rows)
            return [RowAnswer(value, share and tuple(share)) for value, share in zip(answers.values.tolist(), shares, strict=True)]
    except Exception:  # whatever the pipeline refuses rows with
        if len(rows) == 1:
            return [None]
    if len(rows) == 1:
        return [None]
    half = len(rows) // 2
    return answers_each(predict, rows[:half], contract) + answers_each(predict, rows[half:], contract)


def _differ(expected: RowAnswer | None, given: RowAnswer | None) -> str | None:
    if expected is None or given is None:
        return None if expected is given else f"it is {'answered' if expected is None else 'refused'}, but should not be"
    if isinstance(expected.value, float) and isinstance(given.value, float):
        if not math.isclose(expected.value, given.value, rel_tol=TOLERANCE, abs_tol=_SMALLEST):
            return f"{expected.value!r} became {given.value!r}"
    elif type(expected.value) is not type(given.value) or expected.value != given.value:
        return f"the class {expected.value!r} became {given.value!r}"
    if (expected.probabilities is None) != (given.probabilities is None) or len(expected.probabilities or ()) != len(given.probabilities or ()):
        return "only one of them has these probabilities"
    for one, other in zip(expected.probabilities or (), given.probabilities or (), strict=True):
        if not math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=_ROUNDING):
            return f"the probability {one!r} became {other!r}"
    return None
