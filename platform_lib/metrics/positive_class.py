"""Metrics of two-class problems that ask about the positive class, which is the second of the model's classes.

Each function computes once what does not depend on the row weights, and returns the score as a function of them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics.classification import encode_labels
from platform_lib.metrics.weighting import MetricUndefined, Weighted, Weights
from platform_lib.model.artifact import Predictions


def _hits(truth: NDArray[Any], predictions: Predictions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per row whether its true class and its predicted class are the positive one, as 1.0 or 0.0."""
    codes = encode_labels(truth, predictions)
    if codes.known != 2:
        raise MetricUndefined(f"it is for two classes, and the model has {codes.known}; choose f1_macro or mcc.")
    is_positive, is_predicted = codes.truth == 1, codes.predicted == 1
    if not is_positive.any():
        raise MetricUndefined(f"no row is of class {codes.labels[1]!r}, the positive one.")
    return is_positive.astype(np.float64), is_predicted.astype(np.float64)


def precision(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Share of the rows predicted as the positive class that are of it; 0 if none is predicted as it.

    Range: 0 to 1. Unit: a share of rows. Higher is better. Source: `sklearn.metrics.precision_score`.

    Args:
        truth: Labels, shape (n,).
        predictions: Labels of the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A label is missing, other than two classes, or no row is of the positive class.
    """
    is_positive, is_predicted = _hits(truth, predictions)
    return _share(is_positive * is_predicted, is_predicted)


def recall(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Share of the rows of the positive class that are predicted as it.

    Range: 0 to 1. Unit: a share of rows. Higher is better. Source: `sklearn.metrics.recall_score`.

    Args:
        truth: Labels, shape (n,).
        predictions: Labels of the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A label is missing, other than two classes, or no row is of the positive class.
    """
    is_positive, is_predicted = _hits(truth, predictions)
    return _share(is_positive * is_predicted, is_positive)


def f1(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Harmonic mean of precision and recall of the positive class.

    Range: 0 to 1. Unit: none. Higher is better. Source: `sklearn.metrics.f1_score`.

    Args:
        truth: Labels, shape (n,).
        predictions: Labels of the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A label is missing, other than two classes, or no row is of the positive class.
    """
    is_positive, is_predicted = _hits(truth, predictions)
    return _share(2 * is_positive * is_predicted, is_positive + is_predicted)


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> Weighted:
    def weighted(weights: Weights) -> float:
        total = float(whole @ weights)
        return float(part @ weights) / total if total > 0 else 0.0

    return weighted
