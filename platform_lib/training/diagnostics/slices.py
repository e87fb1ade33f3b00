"""Search for slices that are worse than the rest of the rows, over the values of every feature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.data.slices import named_slices
from platform_lib.training.diagnostics.held_out import (
    Z95,
    HeldOut,
    NotComputable,
    around,
    error_of_mean,
    rounded,
    wilson,
)
from platform_lib.training.diagnostics.tables import Slice, SliceSearch

SMALLEST = 30
"""Rows that a slice needs, or 1 % of the rows if that is more; there must be as many outside of it."""
LEVEL = 0.05
_MOST_FOUND = 20

Losses = NDArray[np.float64]


def search_slices(rows: HeldOut, configured: Sequence[str]) -> SliceSearch:
    """Compare each value, or interval of values, of each feature with the other rows.

    A slice is found if it is worse by a one-sided test, Fisher's for shares and Welch's for mean errors, corrected by
    Benjamini and Hochberg for the number of slices: of those found, 5 % are expected to be chance.

    Args:
        rows: The held-out rows.
        configured: Columns whose slices are listed whether they are found or not.
    Raises:
        NotComputable: A prediction is not a finite number, or there are too few rows.
    """
    losses = row_losses(rows)
    smallest = max(SMALLEST, len(rows) // 100)
    if len(rows) < 2 * smallest:
        raise NotComputable(f"{len(rows)} held-out rows are too few to compare parts of them: {2 * smallest} or more.")
    expected = _expected_losses(rows)
    candidates = [
        (column, value, members)
        for column in rows.contract.features
        for value, members in named_slices(rows.frame[column], rows.contract.columns[column])
        if smallest <= members.size <= len(rows) - smallest
    ]
    p_values = np.array([_p_value(losses, members, shares=rows.is_classification) for _, _, members in candidates])
    compared = [
        (_slice(rows, losses, expected, candidate, p_value, adjusted, configured), _certain(losses, candidate[2]))
        for candidate, p_value, adjusted in zip(candidates, p_values, benjamini_hochberg(p_values), strict=True)
    ]
    found = sorted((pair for pair in compared if pair[0].adjusted_p_value < LEVEL), key=lambda pair: -pair[1])
    return SliceSearch(
        loss="share wrong" if rows.is_classification else "mean absolute error",
        overall=rounded(losses.mean()),
        looked_at=len(candidates),
        smallest=smallest,
        found=[part for part, _ in found[:_MOST_FOUND]],
        configured=[part for part, _ in compared if part.configured],
    )


def row_losses(rows: HeldOut) -> Losses:
    """1 for a wrong class and 0 for the right one, or the absolute error; shape (n,).

    Raises:
        NotComputable: A prediction is not a finite number.
    """
    if rows.is_classification:
        truth, predicted = np.asarray(rows.truth, dtype=object), np.asarray(rows.predictions.values, dtype=object)
        return np.asarray(truth != predicted, dtype=np.float64)
    losses = np.abs(np.asarray(rows.predictions.values, dtype=np.float64) - rows.truth)
    if not np.isfinite(losses).all():
        raise NotComputable(f"{int((~np.isfinite(losses)).sum())} errors are not finite.")
    return np.asarray(losses, dtype=np.float64)


def benjamini_hochberg(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust the p-values of m tests for their number, so that a level bounds the share of false discoveries.

    Args:
        p_values: Shape (m,).
    """
    tests = len(p_values)
    order = np.argsort(p_values, kind="stable")[::-1]
    scaled: NDArray[np.float64] = p_values[order] * tests / np.arange(tests, 0, -1)
    adjusted: NDArray[np.float64] = np.empty(tests)
    adjusted[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return adjusted


def _p_value(losses: Losses, members: NDArray[np.intp], *, shares: bool) -> float:
    from scipy.stats import hypergeom, ttest_ind

    inside = losses[members]
    if shares:
        return float(hypergeom.sf(inside.sum() - 1, len(losses), losses.sum(), len(members)))
    outside = np.delete(losses, members)
    if inside.std() == 0 and outside.std() == 0:
        return 1.0 if inside[0] <= outside[0] else 0.0
    return float(ttest_ind(inside, outside, equal_var=False, alternative="greater").pvalue)


def _certain(losses: Losses, members: NDArray[np.intp]) -> float:
    """The lower end of the difference between the slice and the other rows."""
    inside, outside = losses[members], np.delete(losses, members)
    error = np.hypot(error_of_mean(inside), error_of_mean(outside))
    return float(inside.mean() - outside.mean() - Z95 * error)


def _expected_losses(rows: HeldOut) -> Losses | None:
    """Per row the probability of being wrong, by the model's own probabilities."""
    probabilities, classes = rows.predictions.probabilities, rows.predictions.classes
    if not rows.is_classification or probabilities is None:
        return None
    position = {label: number for number, label in enumerate(classes)}
    predicted = np.array([position[label] for label in np.asarray(rows.predictions.values).tolist()])
    return np.asarray(1.0 - probabilities[np.arange(len(rows)), predicted])


def _slice(
    rows: HeldOut,
    losses: Losses,
    expected: Losses | None,
    candidate: tuple[str, str, NDArray[np.intp]],
    p_value: float,
    adjusted: float,
    configured: Sequence[str],
) -> Slice:
    column, value, members = candidate
    inside: Any = losses[members]
    mean = float(inside.mean())
    of_mean = wilson(inside.sum(), members.size) if rows.is_classification else around(mean, error_of_mean(inside))
    return Slice(
        column=column,
        value=value,
        rows=int(members.size),
        loss=rounded(mean),
        interval=of_mean,
        loss_elsewhere=rounded(np.delete(losses, members).mean()),
        expected_loss=None if expected is None else rounded(expected[members].mean()),
        p_value=rounded(p_value),
        adjusted_p_value=rounded(adjusted),
        configured=column in configured,
    )
