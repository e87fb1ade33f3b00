"""Compare the fast path with the pipeline on probe rows.

They agree if classes are equal, numbers and probabilities are within 1e-9, and both refuse the same rows. All rows are
predicted once as one batch and once row by row, because sums may round differently.
"""

import math
from collections.abc import Sequence

from platform_lib.data.contract import DataContract
from platform_lib.data.rows import Row
from platform_lib.model.probe_rows import Predict, RowPrediction, predict_each, suppress_warnings

TOLERANCE = 1e-9
_SMALLEST = 1e-300
_ROUNDING = 1e-14
"""Absolute tolerance of a probability: one near 0 may be the remainder of a rounded one near 1."""


def difference(pipeline: Predict, fast: Predict, rows: Sequence[Row], contract: DataContract) -> str | None:
    """Return the first difference between the pipeline and the fast path, or None if they agree.

    Args:
        pipeline: Predicts by the pipeline.
        fast: Predicts by the fast path.
        rows: n probe rows, values in the order of the contract's features.
        contract: The model's data contract.
    """
    with suppress_warnings():
        expected = predict_each(pipeline, rows, contract)
    return difference_from(expected, fast, rows, contract)


def difference_from(
    expected: Sequence[RowPrediction | None], fast: Predict, rows: Sequence[Row], contract: DataContract
) -> str | None:
    """Return the first difference between the pipeline's predictions and the fast path, or None if they agree.

    Args:
        expected: The pipeline's n predictions; None for a row that it refuses.
        fast: Predicts by the fast path.
        rows: n probe rows, values in the order of the contract's features.
        contract: The model's data contract.
    """
    with suppress_warnings():
        for number, row in enumerate(rows):
            given = predict_each(fast, [row], contract)[0]
            if found := _differ(expected[number], given):
                return f"probe row {number}: {found}"
        accepted = [(row, wanted) for row, wanted in zip(rows, expected, strict=True) if wanted is not None]
        together = predict_each(fast, [row for row, _ in accepted], contract)
        for (_, wanted), given in zip(accepted, together, strict=True):
            if found := _differ(wanted, given):
                return f"all probe rows in one batch: {found}"
    return None


def _differ(expected: RowPrediction | None, given: RowPrediction | None) -> str | None:
    if expected is None or given is None:
        if expected is given:
            return None
        return "only the pipeline refuses it" if expected is None else "only the fast path refuses it"
    if isinstance(expected.value, float) and isinstance(given.value, float):
        if not math.isclose(expected.value, given.value, rel_tol=TOLERANCE, abs_tol=_SMALLEST):
            return f"{given.value!r} instead of {expected.value!r}"
    elif type(expected.value) is not type(given.value) or expected.value != given.value:
        return "another class"  # which one would be data of the training, and this text is logged
    if (expected.probabilities is None) != (given.probabilities is None) or len(expected.probabilities or ()) != len(
        given.probabilities or ()
    ):
        return "only one of them has these probabilities"
    for wanted, found in zip(expected.probabilities or (), given.probabilities or (), strict=True):
        if not math.isclose(wanted, found, rel_tol=TOLERANCE, abs_tol=_ROUNDING):
            return f"the probability {found!r} instead of {wanted!r}"
    return None
