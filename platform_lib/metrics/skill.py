"""Metrics of classification that compare a model with one that knows nothing but the classes' frequencies.

Each function computes once what does not depend on the row weights, and returns the score as a function of them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics.classification import confusion_counts, encode_labels, log_loss, require_two_truths
from platform_lib.metrics.weighting import Weighted, Weights
from platform_lib.model.artifact import Predictions


def mcc(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Matthews correlation coefficient: the correlation of true and predicted labels, for any number of classes.

    Range: −1 to 1; 0 for predictions that say nothing, a constant one included. Unit: none. Higher is better. Source:
    `sklearn.metrics.matthews_corrcoef`.

    Args:
        truth: Labels, shape (n,).
        predictions: Labels of the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A label is missing, or all rows are of one class.
    """
    codes = encode_labels(truth, predictions)
    require_two_truths(codes)

    def weighted(weights: Weights) -> float:
        counts = confusion_counts(codes, weights)
        total, true, predicted = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
        covariance = counts.diagonal().sum() * total - true @ predicted
        spread = (total**2 - predicted @ predicted) * (total**2 - true @ true)
        return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0

    return weighted


def log_loss_skill(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Share of the log loss of constant probabilities, the classes' frequencies in these rows, that the model avoids.

    Range: −∞ to 1; 0 for the classes' frequencies. Unit: a share. Higher is better. Source: `sklearn.metrics.log_loss`
    of both, as 1 − model / constant; known as McFadden's R².

    Args:
        truth: Labels, shape (n,).
        predictions: Probabilities of the same n rows, shape (n, k).
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: There are no probabilities, a row is of a class the model has not seen, or all rows are of one
            class.
    """
    loss = log_loss(truth, predictions)
    codes = encode_labels(truth, predictions)
    require_two_truths(codes)

    def weighted(weights: Weights) -> float:
        shares = np.bincount(codes.truth, weights) / weights.sum()
        shares = shares[shares > 0]
        constant = -float(shares @ np.log(shares))
        return 1 - loss(weights) / constant if constant > 0 else float("nan")

    return weighted
