"""Prove a fast pipeline equal to the real one before it answers anybody: same classes to the bit, numbers within 1e-9, and refusals of the same rows.

The rows are those of `probe_rows`. Everything is asked once as a batch and once row by row, since sums may come out differently.
"""

import math
from collections.abc import Sequence

from platform_lib.data.contract import DataContract
from platform_lib.data.rows import Row
from platform_lib.model.probe_rows import Predict, RowPrediction, predict_each, suppress_warnings

TOLERANCE = 1e-9
_SMALLEST = 1e-300
_ROUNDING = 1e-14
"""Of a probability: one near 0 may be what a rounded one near 1 leaves."""


def difference(ordinary: Predict, fast: Predict, rows: Sequence[Row], contract: DataContract) -> str | None:
    """Where the two differ first, None where they agree on everything."""
    with suppress_warnings():
        expected = predict_each(ordinary, rows, contract)
    return difference_from(expected, fast, rows, contract)


def difference_from(
    expected: Sequence[RowPrediction | None], fast: Predict, rows: Sequence[Row], contract: DataContract
) -> str | None:
    """Where the fast one differs first from the n answers that are expected to n rows, None where it agrees on everything."""
    with suppress_warnings():
        for number, row in enumerate(rows):
            given = predict_each(fast, [row], contract)[0]
            if found := _differ(expected[number], given):
                return f"row {number} of the check: {found}"
        answered = [(row, answer) for row, answer in zip(rows, expected, strict=True) if answer is not None]
        together = predict_each(fast, [row for row, _ in answered], contract)
        for (_, answer), given in zip(answered, together, strict=True):
            if found := _differ(answer, given):
                return f"all rows of the check at once: {found}"
    return None


def _differ(expected: RowPrediction | None, given: RowPrediction | None) -> str | None:
    if expected is None or given is None:
        return (
            None if expected is given else f"it is {'answered' if expected is None else 'refused'}, but should not be"
        )
    if isinstance(expected.value, float) and isinstance(given.value, float):
        if not math.isclose(expected.value, given.value, rel_tol=TOLERANCE, abs_tol=_SMALLEST):
            return f"{expected.value!r} became {given.value!r}"
    elif type(expected.value) is not type(given.value) or expected.value != given.value:
        return f"the class {expected.value!r} became {given.value!r}"
    if (expected.probabilities is None) != (given.probabilities is None) or len(expected.probabilities or ()) != len(
        given.probabilities or ()
    ):
        return "only one of them has these probabilities"
    for one, other in zip(expected.probabilities or (), given.probabilities or (), strict=True):
        if not math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=_ROUNDING):
            return f"the probability {one!r} became {other!r}"
    return None
