"""Metrics of classification: of predicted labels, and of their probabilities.

Each function computes once what does not depend on the row weights, and returns the score as a function of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.metrics.weighting import MetricUndefined, Weighted, Weights, mean_of
from platform_lib.model.artifact import Predictions


@dataclass(frozen=True, slots=True)
class Labels:
    """Truth and predictions as positions in a common list of labels."""

    truth: NDArray[np.intp]
    """Shape (n,)."""
    predicted: NDArray[np.intp]
    """Shape (n,)."""
    known: int
    """The first `known` labels are the model's classes, in its order."""
    labels: tuple[Any, ...]
    """The common list of k labels."""


_last: tuple[NDArray[Any], NDArray[Any], tuple[Any, ...], Labels] | None = None  # all metrics of a hold-out need it


def encode_labels(truth: NDArray[Any], predictions: Predictions) -> Labels:
    """Number the labels: the model's classes first, then labels that occur only in the truth or the predictions.

    Called again with the very same arrays, it returns the same result, so they must not be changed in between.

    Args:
        truth: Labels, shape (n,).
        predictions: Labels of the same n rows.
    Raises:
        MetricUndefined: A label is missing, or no true label is a class of the model.
    """
    global _last
    if (last := _last) and last[0] is truth and last[1] is predictions.values and last[2] is predictions.classes:
        return last[3]
    if missing := int(pd.isna(truth).sum() + pd.isna(predictions.values).sum()):
        raise MetricUndefined(f"{missing} labels are missing.")
    classes = list(predictions.classes)
    seen = pd.unique(
        np.concatenate([np.asarray(truth, dtype=object), np.asarray(predictions.values, dtype=object)])
    ).tolist()
    others = sorted((label for label in seen if label not in classes), key=lambda label: (type(label).__name__, label))
    labels = classes + others
    index = pd.Index(np.array([*labels, None], dtype=object)[:-1])
    encoded_truth = index.get_indexer(np.asarray(truth, dtype=object))
    if classes and not np.any(encoded_truth < len(classes)):
        raise MetricUndefined(
            f"the model knows the classes {_listed(classes)}, and none of them is among the labels of these rows, "
            f"{_listed(others)}; was the target's type changed?"
        )
    encoded = Labels(
        encoded_truth, index.get_indexer(np.asarray(predictions.values, dtype=object)), len(classes), tuple(labels)
    )
    _last = (truth, predictions.values, predictions.classes, encoded)
    return encoded


def _listed(labels: list[Any]) -> str:
    return ", ".join(repr(label) for label in labels[:5]) + (", …" if len(labels) > 5 else "")


def require_two_truths(codes: Labels) -> None:
    """Check that the true labels are of more than one class.

    Raises:
        MetricUndefined: They are not.
    """
    if len(np.unique(codes.truth)) < 2:
        raise MetricUndefined(f"all {len(codes.truth)} rows are of one class, {codes.labels[codes.truth[0]]!r}.")


def accuracy(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Share of rows whose predicted label is the true one.

    Range: 0 to 1. Unit: a share of rows. Higher is better. Source: `sklearn.metrics.accuracy_score`.

    Args:
        truth: Labels, shape (n,).
        predictions: Labels of the same n rows.
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: A label is missing.
    """
    codes = encode_labels(truth, predictions)
    right = (codes.truth == codes.predicted).astype(np.float64)
    return lambda weights: float(right @ weights / weights.sum())


def balanced_accuracy(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Mean over the true classes of the share of their rows that are predicted right.

    Rare classes count as much as frequent ones. Range: 0 to 1; 1/k for a constant prediction, k being the number of
    classes among the true labels. Unit: a share. Higher is better. Source: `sklearn.metrics.balanced_accuracy_score`.

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
        rows, hits = counts.sum(axis=1), counts.diagonal()
        return float(np.mean(hits[rows > 0] / rows[rows > 0]))

    return weighted


def f1_macro(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Unweighted mean over the classes of the F1 score, the harmonic mean of precision and recall.

    Range: 0 to 1. Unit: none. Higher is better. Source: `sklearn.metrics.f1_score(average="macro")`.

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
        rows, hits = counts.sum(axis=1) + counts.sum(axis=0), counts.diagonal()
        return float(np.mean(2 * hits[rows > 0] / rows[rows > 0]))

    return weighted


def confusion_counts(codes: Labels, weights: Weights) -> NDArray[np.float64]:
    """Sum of the weights, shape (n,), per true label (first axis) and predicted label; shape (k, k)."""
    size = len(codes.labels)
    cells = codes.truth * size + codes.predicted
    return np.bincount(cells, weights, minlength=size * size).astype(np.float64, copy=False).reshape(size, size)


def _probabilities(truth: NDArray[Any], predictions: Predictions) -> tuple[Labels, NDArray[np.float64]]:
    codes = encode_labels(truth, predictions)
    probabilities = predictions.probabilities
    if probabilities is None:
        raise MetricUndefined(
            "the model gives no probabilities; choose a metric of labels, such as balanced_accuracy, or another model."
        )
    if not np.isfinite(probabilities).all():
        raise MetricUndefined(
            f"{int((~np.isfinite(probabilities)).any(axis=1).sum())} rows have probabilities that are not numbers."
        )
    unknown = np.flatnonzero(codes.truth >= codes.known)
    if unknown.size:
        label = codes.labels[codes.truth[unknown[0]]]
        raise MetricUndefined(
            f"{unknown.size} rows are of a class the model has not seen in training, such as {label!r}."
        )
    return codes, probabilities


def roc_auc(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Area under the ROC curve: how often a row of a class gets a higher probability for it than another row.

    More than two classes: unweighted mean of one class against the rest.
    Range: 0 to 1; 0.5 for probabilities that say nothing. Unit: none. Higher is better. Source:
    `sklearn.metrics.roc_auc_score(multi_class="ovr", average="macro")`.

    Args:
        truth: Labels, shape (n,).
        predictions: Probabilities of the same n rows, shape (n, k).
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: There are no probabilities, or no row of some class.
    """
    codes, probabilities = _probabilities(truth, predictions)
    require_two_truths(codes)
    absent = sorted(set(range(codes.known)) - set(codes.truth.tolist()))
    if absent:
        raise MetricUndefined(f"no row is of class {codes.labels[absent[0]]!r}.")
    classes = [1] if codes.known == 2 else range(codes.known)
    parts = [_area(codes.truth == k, probabilities[:, k]) for k in classes]
    return lambda weights: float(np.mean([part(weights) for part in parts]))


def _area(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> Weighted:
    """Area under the ROC curve: the weight of (positive, negative) pairs in the right order, ties for one half."""
    order, starts, ends = _ranked(scores)
    hits = positive[order]
    negative = (~hits).astype(np.float64)
    places, starts, ends = np.flatnonzero(hits), starts[hits], ends[hits]
    below = np.zeros(len(order) + 1)

    def weighted(weights: Weights) -> float:
        ordered = weights[order]
        np.cumsum(ordered * negative, out=below[1:])
        gained = ordered[places]
        pairs = gained.sum() * below[-1]
        return float(gained @ (below[starts] + below[ends]) / (2 * pairs)) if pairs > 0 else float("nan")

    return weighted


def average_precision(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Area under the precision-recall curve of the second of two classes, as a step function.

    Range: 0 to 1; the share of rows of the second class for probabilities that say nothing. Unit: none. Higher is
    better. Source: `sklearn.metrics.average_precision_score`.

    Args:
        truth: Labels, shape (n,).
        predictions: Probabilities of the same n rows, shape (n, 2).
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: There are no probabilities, other than two classes, or rows of one class only.
    """
    codes, probabilities = _probabilities(truth, predictions)
    if codes.known != 2:
        raise MetricUndefined(f"it is for two classes, and the model has {codes.known}; choose roc_auc or f1_macro.")
    require_two_truths(codes)
    order, _, ends = _ranked(-probabilities[:, 1])
    hits = codes.truth[order] == 1
    is_positive = hits.astype(np.float64)
    places, last = np.flatnonzero(hits), ends[hits] - 1

    def weighted(weights: Weights) -> float:
        ordered = weights[order]
        gained = ordered[places]
        total = gained.sum()
        if total == 0:
            return float("nan")
        # A row of weight 0 may come before all others, where nothing is taken yet.
        taken = np.maximum(np.cumsum(ordered)[last], 1e-300)
        return float(gained @ (np.cumsum(ordered * is_positive)[last] / taken) / total)

    return weighted


def _ranked(scores: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The order that sorts the scores, and for each place in it where its group of equal scores starts and ends."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    return order, np.searchsorted(ordered, ordered, side="left"), np.searchsorted(ordered, ordered, side="right")


def log_loss(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Mean of −log p, p being the probability that a row's true class was given; p is at least 2.2e-16.

    Range: 0 to 36.04 (−log 2.2e-16); log k for equal probabilities of k classes. Unit: nats. Lower is better.
    Source: `sklearn.metrics.log_loss`.

    Args:
        truth: Labels, shape (n,).
        predictions: Probabilities of the same n rows, shape (n, k).
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: There are no probabilities, or a row is of a class that the model does not know.
    """
    codes, probabilities = _probabilities(truth, predictions)
    given = probabilities[np.arange(len(truth)), codes.truth]
    return mean_of(-np.log(np.clip(given, np.finfo(np.float64).eps, 1.0)))


def brier(truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """Mean squared difference between probabilities and the truth.

    Two classes: of the second class only. More: the sum over all classes.
    Range: 0 to 1 for two classes, 0 to 2 for more. Unit: a squared probability. Lower is better. Source:
    `sklearn.metrics.brier_score_loss(scale_by_half="auto")`.

    Args:
        truth: Labels, shape (n,).
        predictions: Probabilities of the same n rows, shape (n, k).
    Returns:
        The score as a function of row weights, shape (n,).
    Raises:
        MetricUndefined: There are no probabilities, or a row is of a class that the model does not know.
    """
    codes, probabilities = _probabilities(truth, predictions)
    squares = (probabilities - np.eye(codes.known)[codes.truth]) ** 2
    return mean_of(squares[:, 1] if codes.known == 2 else squares.sum(axis=1))
