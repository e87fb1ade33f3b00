"""Diagnostics of a regression: predicted against actual, residuals, and quantiles of the error."""

import numpy as np
from numpy.typing import NDArray

from platform_lib.training.diagnostics.held_out import (
    HeldOut,
    NotComputable,
    around,
    error_of_mean,
    rounded,
    rounded_list,
)
from platform_lib.training.diagnostics.tables import Histogram, NumberTables, ResidualBin, Scatter

BINS = 10
_HISTOGRAM_BINS = 30
_MOST_POINTS = 1000
_SHARES = (0.5, 0.8, 0.9, 0.95, 0.99, 1.0)

Numbers = NDArray[np.float64]


def number_tables(rows: HeldOut) -> NumberTables:
    """All tables of a regression.

    Raises:
        NotComputable: A prediction is not a finite number.
    """
    predicted = np.asarray(rows.predictions.values, dtype=np.float64)
    actual = np.asarray(rows.truth, dtype=np.float64)
    residuals = predicted - actual
    if not np.isfinite(residuals).all():
        raise NotComputable(f"{int((~np.isfinite(residuals)).sum())} residuals are not finite.")
    errors = np.abs(residuals)
    return NumberTables(
        scatter=_scatter(predicted, actual) if rows.shows_target else None,
        residuals=_histogram(residuals),
        by_prediction=_by_prediction(predicted, residuals),
        error_quantiles={f"{share:g}": rounded(np.quantile(errors, share)) for share in _SHARES},
        bias=rounded(residuals.mean()),
        bias_interval=around(float(residuals.mean()), error_of_mean(residuals)),
    )


def _scatter(predicted: Numbers, actual: Numbers) -> Scatter:
    """Points evenly spread over the rows, in the order of prediction and actual value."""
    order = np.lexsort((actual, predicted))
    if len(order) > _MOST_POINTS:
        order = order[np.linspace(0, len(order) - 1, _MOST_POINTS).round().astype(int)]
    return Scatter(predicted=rounded_list(predicted[order]), actual=rounded_list(actual[order]), rows=len(predicted))


def _histogram(residuals: Numbers) -> Histogram:
    low, high = np.quantile(residuals, [0.005, 0.995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(residuals, bins=_HISTOGRAM_BINS, range=(low, high))
    return Histogram(
        edges=rounded_list(edges),
        counts=counts.tolist(),
        below=int((residuals < low).sum()),
        above=int((residuals > high).sum()),
    )


def _by_prediction(predicted: Numbers, residuals: Numbers) -> list[ResidualBin]:
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, predicted, side="right")
    found = []
    for number in np.unique(bins):
        mine = bins == number
        low, high = np.quantile(residuals[mine], [0.1, 0.9])
        mean = float(residuals[mine].mean())
        found.append(
            ResidualBin(
                rows=int(mine.sum()),
                predicted=rounded(predicted[mine].mean()),
                mean=rounded(mean),
                low=rounded(low),
                high=rounded(high),
                interval=around(mean, error_of_mean(residuals[mine])),
            )
        )
    return found
