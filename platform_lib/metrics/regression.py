"""Metrics of regression.

Each function computes once what does not depend on the row weights, and returns the score as a function of them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics.weighting import MetricUndefined, Weighted, Weights, mean_of
from platform_lib.model.artifact import Predictions


def numbers(truth: NDArray[Any], predictions: Predictions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True values and predictions as finite numbers, each of shape (n,).

    Raises:
        MetricUndefined: A value is NaN, infinite or not a number.
    """
    try:
        given, expected = np.asarray(predictions.values, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise MetricUndefined(f"the predictions are not numbers: {err}.") from err
    for what, values in (("predictions", given), ("true values", expected)):
        if bad := int((~np.isfinite(values)).sum()):
            raise MetricUndefined(f"{bad} {what} are NaN or infinite.")
    return expected, given


def mae(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Mean absolute error: the mean of |prediction − truth|.

    Range: 0 to ∞. Unit: the target's. Lower is better. Source: `sklearn.metrics.mean_absolute_error`.

    Args:
        truth: Numbers, shape (n,).
        predictions: Numbers for the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A value is NaN or infinite.
    """
    expected, given = numbers(truth, predictions)
    return mean_of(np.abs(given - expected))


def rmse(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Root mean squared error: large errors count more than in `mae`.

    Range: 0 to ∞. Unit: the target's. Lower is better. Source: `sklearn.metrics.root_mean_squared_error`.

    Args:
        truth: Numbers, shape (n,).
        predictions: Numbers for the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A value is NaN or infinite.
    """
    expected, given = numbers(truth, predictions)
    mean = mean_of((given - expected) ** 2)
    return lambda weights: float(np.sqrt(mean(weights)))


def mape(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Mean absolute percentage error: the mean of |prediction − truth| / |truth|.

    Range: 0 to ∞. Unit: a share, not percent: 0.05 is an error of 5 %. Lower is better. Source:
    `sklearn.metrics.mean_absolute_percentage_error`.

    Args:
        truth: Numbers, shape (n,).
        predictions: Numbers for the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A value is NaN or infinite. A true value is 0.
    """
    expected, given = numbers(truth, predictions)
    if zeros := int((expected == 0).sum()):
        raise MetricUndefined(f"{zeros} true values are 0, and an error relative to 0 has no meaning; choose mae.")
    return mean_of(np.abs((given - expected) / expected))


def medae(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Median absolute error: half of the rows have a smaller one.

    Range: 0 to ∞. Unit: the target's. Lower is better. Source: `sklearn.metrics.median_absolute_error`.

    Args:
        truth: Numbers, shape (n,).
        predictions: Numbers for the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A value is NaN or infinite.
    """
    expected, given = numbers(truth, predictions)
    errors = np.abs(given - expected)
    order = np.argsort(errors, kind="stable")
    errors = errors[order]

    def weighted(weights: Weights) -> float:
        counted = np.cumsum(weights[order])
        middle = np.searchsorted(counted, [(counted[-1] - 1) // 2, counted[-1] // 2], side="right")
        return float(errors[middle].mean())

    return weighted


def r2(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Coefficient of determination: the share of the target's variance that the predictions explain.

    Range: −∞ to 1; 0 for predicting the mean of the rows. Unit: a share of variance. Higher is better. Source:
    `sklearn.metrics.r2_score`.

    Args:
        truth: Numbers, shape (n,).
        predictions: Numbers for the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A value is NaN or infinite. All true values are equal.
    """
    expected, given = numbers(truth, predictions)
    if np.all(expected == expected[0]):
        raise MetricUndefined(f"all {len(expected)} true values are {expected[0]:g}.")
    squares = (given - expected) ** 2
    # Around the mean of all rows, so that the difference of squares below loses no digits.
    centred = expected - expected.mean()
    centred_squares = centred**2

    def weighted(weights: Weights) -> float:
        rows = weights.sum()
        spread = centred_squares @ weights - (centred @ weights) ** 2 / rows
        return float(1 - squares @ weights / spread) if spread > 1e-12 * rows * centred_squares.mean() else float("nan")

    return weighted
