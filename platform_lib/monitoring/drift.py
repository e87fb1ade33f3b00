"""Drift of one column: how far the live rows' shares are from the reference's, and whether chance explains it.

The population stability index is the symmetric Kullback-Leibler divergence of the two distributions over bins,
sum((p - q) ln(p / q)), as in credit scoring (Siddiqi, Credit Risk Scorecards, 2006). The alert rules of the platform
compute the same from the server's counters.
"""

from collections.abc import Sequence
from itertools import accumulate

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.model.profile import Bins
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.held_out.row_tests import RowTest

SMALLEST_SHARE = 1e-4
"""Smaller shares count as this in the index, so that an empty bin does not make it infinite."""
SIGNIFICANCE = 0.01
"""Columns differ where the corrected p-value is below this."""


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How one column differs from the reference."""

    name: str
    kind: str
    psi: float
    """Over the whole period."""
    limit: float
    windows: list[float | None]
    """The index per window, oldest first; None where a window has too few rows."""
    drifted: bool
    """Whether the index is over the limit in enough of the latest judged windows, the last of them included."""
    since: int | None
    """Position of the first window of those in a row over the limit; None if the last judged is not over it."""
    p_value: float
    """Of the chi-square test that both samples have the same shares, corrected for the number of columns."""
    ks: float | None
    """Largest difference of the two distribution functions at the bins' edges, a lower bound of the
    Kolmogorov-Smirnov statistic; None for categories."""
    test: RowTest | None = None
    """On rows instead of bins; None where the version has no held-out rows, or too few."""
    missing: float
    missing_reference: float
    outside: float
    """Share of values outside the reference's range, or of unknown or rare categories."""
    outside_reference: float
    labels: list[str]
    shares: list[float]
    """Of the rows since the index is over the limit; of all rows if it is not. The same rows are behind `ks`, `missing`
    and `outside`."""
    reference: list[float]


def psi(shares: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """The population stability index of two distributions over the same bins, shape (bins,); 0 if they are equal."""
    p, q = np.maximum(shares, SMALLEST_SHARE), np.maximum(reference, SMALLEST_SHARE)
    return float(((p - q) * np.log(p / q)).sum())


def column_drift(
    name: str, bins: Bins, counts: NDArray[np.int64], reference_rows: int, config: MonitorConfig
) -> ColumnDrift:
    """Compare a column's counts with its reference; the p-value is not corrected yet.

    Args:
        name: Of the column.
        bins: With the reference's shares.
        counts: By window and bin, shape (windows, bins), at least one row in all.
        reference_rows: Number of rows of the reference.
        config: Limits.
    """
    reference = np.asarray(bins.shares)
    total = counts.sum(axis=0)
    limit = config.limit_of(name)
    by_window = [psi(row / row.sum(), reference) if row.sum() >= config.min_rows else None for row in counts]
    judged = [(place, value) for place, value in enumerate(by_window) if value is not None]
    over = [value > limit for _, value in judged]
    first = _first_in_a_row(over)
    since = None if first is None else judged[first][0]
    shown = counts[since or 0 :].sum(axis=0)
    shares = shown / shown.sum()
    outside = _outside(bins)
    return ColumnDrift(
        name=name,
        kind=bins.kind,
        psi=psi(total / total.sum(), reference),
        limit=limit,
        windows=by_window,
        drifted=first is not None and sum(over[-config.windows :]) >= min(config.windows_over, len(over)),
        since=since,
        p_value=_same_shares(total, reference, reference_rows),
        ks=_largest_gap(bins, shares),
        missing=float(shares[-1]),
        missing_reference=float(reference[-1]),
        outside=float(shares[outside].sum()),
        outside_reference=float(reference[outside].sum()),
        labels=bins.labels,
        shares=shares.tolist(),
        reference=reference.tolist(),
    )


def corrected(p_values: Sequence[float]) -> list[float]:
    """Holm's correction of several p-values: the chance of one false alarm in all of them stays what one has."""
    order = np.argsort(p_values)
    scaled = accumulate((p_values[i] * (len(p_values) - rank) for rank, i in enumerate(order)), max)
    result = [1.0] * len(p_values)
    for i, value in zip(order, scaled, strict=True):
        result[i] = min(1.0, float(value))
    return result


def _outside(bins: Bins) -> list[int]:
    if bins.kind in ("boolean", "category"):
        return [len(bins.values)]
    return [0, len(bins.edges)] if bins.edges else []


def _first_in_a_row(over: Sequence[bool]) -> int | None:
    if not over or not over[-1]:
        return None
    first = len(over) - 1
    while first and over[first - 1]:
        first -= 1
    return first


def _same_shares(counts: NDArray[np.int64], reference: NDArray[np.float64], reference_rows: int) -> float:
    from scipy.stats import chi2_contingency

    table = np.vstack([counts, np.rint(reference * reference_rows)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def _largest_gap(bins: Bins, shares: NDArray[np.float64]) -> float | None:
    if bins.kind not in ("number", "time"):
        return None
    live, reference = shares[:-1], np.asarray(bins.shares[:-1])
    if not live.sum() or not reference.sum():
        return None
    return float(np.abs(np.cumsum(live) / live.sum() - np.cumsum(reference) / reference.sum()).max())
