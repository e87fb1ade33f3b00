"""Tests of one column on rows: held-out rows against live rows, without bins between them."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_lib.model.profile import Bins
from platform_lib.monitoring.binning import bin_indices, numbers_of

FEWEST_ROWS = 20
"""Fewer values on either side are not tested."""


class RowTest(msgspec.Struct, frozen=True, kw_only=True):
    """How a column's live values differ from the held-out ones."""

    test: Literal["Kolmogorov-Smirnov", "chi-square"]
    effect: float
    """0 for the same distribution, 1 for nothing in common: the largest distance of the two distribution functions
    (Kolmogorov-Smirnov), or Cramér's V (chi-square)."""
    p_value: float
    """That chance alone explains the difference; with the false discovery rate of all columns controlled (Benjamini
    and Hochberg)."""
    wasserstein: float | None
    """How far values moved on average, in the column's unit, seconds for times; None for categories."""
    live_rows: int
    reference_rows: int


def row_test(bins: Bins, reference: pa.ChunkedArray, live: pa.ChunkedArray) -> RowTest | None:
    """Test one column; the p-value is not corrected yet.

    Args:
        bins: Of the column.
        reference: n held-out values, as the request log would hold them.
        live: m logged values.
    Returns:
        None with fewer than 20 values on either side. Missing numbers and times are left out; a missing category
        counts as one.
    """
    if bins.kind in ("number", "time"):
        return _of_numbers(numbers_of(bins, reference), numbers_of(bins, live))
    return _of_categories(bin_indices(bins, reference), bin_indices(bins, live), len(bins.shares))


def with_corrected_p_values(tests: Sequence[RowTest | None]) -> list[RowTest | None]:
    """Control the false discovery rate over all columns' tests."""
    from scipy.stats import false_discovery_control

    made = [test.p_value for test in tests if test is not None]
    corrected = iter(false_discovery_control(made) if made else [])
    return [None if test is None else msgspec.structs.replace(test, p_value=float(next(corrected))) for test in tests]


def _of_numbers(reference: NDArray[np.float64], live: NDArray[np.float64]) -> RowTest | None:
    from scipy.stats import ks_2samp, wasserstein_distance

    reference, live = reference[np.isfinite(reference)], live[np.isfinite(live)]
    if min(len(reference), len(live)) < FEWEST_ROWS:
        return None
    found = ks_2samp(reference, live, method="asymp")
    return RowTest(
        test="Kolmogorov-Smirnov",
        effect=float(found.statistic),
        p_value=float(found.pvalue),
        wasserstein=float(wasserstein_distance(reference, live)),
        live_rows=len(live),
        reference_rows=len(reference),
    )


def _of_categories(reference: NDArray[np.intp], live: NDArray[np.intp], width: int) -> RowTest | None:
    from scipy.stats import chi2_contingency

    if min(len(reference), len(live)) < FEWEST_ROWS:
        return None
    counts = np.vstack([np.bincount(side, minlength=width) for side in (reference, live)])
    counts = counts[:, counts.sum(axis=0) > 0]
    found = chi2_contingency(counts, correction=False) if counts.shape[1] > 1 else None
    return RowTest(
        test="chi-square",
        effect=0.0 if found is None else float(np.sqrt(found.statistic / counts.sum())),
        p_value=1.0 if found is None else float(found.pvalue),
        wasserstein=None,
        live_rows=len(live),
        reference_rows=len(reference),
    )
