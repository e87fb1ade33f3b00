"""Metrics that exist once `metrics` in the configuration has their parameter: `mean_cost` and `pinball`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import METRICS, Metric
from platform_lib.metrics.classification import encode_labels
from platform_lib.metrics.regression import numbers
from platform_lib.metrics.weighting import Weighted, mean_of
from platform_lib.model.artifact import Predictions

COST, PINBALL = "mean_cost", "pinball"
_configured: set[str] = set()
Costs = Mapping[Any, Mapping[Any, float]]
"""True label → predicted label → cost; what is not listed costs nothing."""


def configure_metrics(*, costs: Costs | None, quantile: float | None) -> None:
    """Add the metrics to `METRICS`, in place of those of another configuration; None removes one.

    Args:
        costs: Of classification.
        quantile: Of regression, between 0 and 1.
    """
    for name in _configured:  # not a metric of the project's own that has the name
        METRICS.pop(name, None)
    _configured.clear()
    if costs is not None:
        METRICS[COST] = Metric(
            name=COST,
            task="classification",
            greater_is_better=False,
            needs_probabilities=False,
            prepare=partial(cost, costs=costs),
            constants=_each_class,
        )
        _configured.add(COST)
    if quantile is not None:
        METRICS[PINBALL] = Metric(
            name=PINBALL,
            task="regression",
            greater_is_better=False,
            needs_probabilities=False,
            prepare=partial(pinball, quantile=quantile),
            constants=partial(_quantile, quantile=quantile),
        )
        _configured.add(PINBALL)


def cost(truth: NDArray[Any], predictions: Predictions, *, costs: Costs) -> Weighted:
    """Mean cost per row of predicting one label where another is true.

    Range: 0 to the largest cost. Unit: the costs'. Lower is better. Source: `sklearn.metrics.confusion_matrix`, whose
    counts are weighted with the costs.

    Args:
        truth: Labels, shape (n,).
        predictions: Labels of the same n rows.
        costs: Per true label and predicted label.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A label is missing.
    """
    codes = encode_labels(truth, predictions)
    table = np.array([[float(costs.get(true, {}).get(given, 0.0)) for given in codes.labels] for true in codes.labels])
    return mean_of(table[codes.truth, codes.predicted])


def pinball(truth: NDArray[Any], predictions: Predictions, *, quantile: float) -> Weighted:
    """Mean pinball loss: an error below the truth counts `quantile`, one above it 1 − `quantile`.

    Range: 0 to ∞. Unit: the target's. Lower is better. Source: `sklearn.metrics.mean_pinball_loss`.

    Args:
        truth: Numbers, shape (n,).
        predictions: Numbers for the same n rows.
        quantile: That the model predicts, between 0 and 1; at 0.5, half the mean absolute error.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A value is NaN or infinite.
    """
    expected, given = numbers(truth, predictions)
    below = expected - given
    return mean_of(np.where(below >= 0, quantile * below, (quantile - 1) * below))


def _each_class(fitted_on: NDArray[Any], rows: int) -> list[Predictions]:
    """Each class for all rows: with costs, the best constant need not be the most frequent one."""
    classes = tuple(fitted_on[np.unique(fitted_on.astype(str), return_index=True)[1]].tolist())
    return [Predictions(np.array([label] * rows, dtype=fitted_on.dtype), None, classes) for label in classes]


def _quantile(fitted_on: NDArray[Any], rows: int, *, quantile: float) -> list[Predictions]:
    return [Predictions(np.full(rows, np.quantile(fitted_on.astype(np.float64), quantile)), None)]
