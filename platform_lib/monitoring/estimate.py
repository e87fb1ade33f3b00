"""The score that a classifier's own probabilities promise, before labels come.

Confidence-based estimation: labels are drawn from the predicted probabilities, and the predictions are scored against
them. The estimate follows a shift of the inputs, because probabilities follow it. It rests on one assumption, that the
probabilities are right: if what the inputs mean has changed, it cannot know (Guillory et al., Predicting with
Confidence on Unseen Distributions, ICCV 2021).
"""

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import metric_named, score, take
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import Predictions

RIGHT_PROBABILITIES = (
    "The estimate assumes that the model's probabilities are right. It cannot see that the meaning of the inputs "
    "changed."
)
_ROWS = 10_000
_DRAWS = 40


def estimated_score(
    metric: str, predictions: Predictions, rows: NDArray[np.intp], *, seed: int = 0
) -> tuple[float, float] | None:
    """Estimate a score from probabilities.

    Args:
        metric: Name of a metric of classification.
        predictions: Of n rows.
        rows: The rows to estimate for, shape (m,); beyond 10,000 rows, as many are drawn.
        seed: Of the drawn labels.
    Returns:
        The mean score over 40 draws of labels, and its standard deviation for m rows; None for numbers, without
        probabilities, or where the score is undefined.
    """
    if predictions.probabilities is None or not len(rows) or metric_named(metric).task != "classification":
        return None
    generator = np.random.default_rng(seed)
    used = rows if len(rows) <= _ROWS else np.sort(generator.choice(rows, size=_ROWS, replace=False))
    chosen = take(predictions, used)
    assert chosen.probabilities is not None
    cumulated = np.cumsum(chosen.probabilities, axis=1)
    cumulated /= cumulated[:, -1:]
    classes = np.asarray(predictions.classes, dtype=object)
    scores = []
    for _ in range(_DRAWS):
        drawn = (generator.random((len(used), 1)) > cumulated).sum(axis=1)
        try:
            scores.append(score(metric, classes[drawn], chosen))
        except MetricUndefined:
            continue
    if len(scores) * 2 < _DRAWS:
        return None
    return float(np.mean(scores)), float(np.std(scores) * np.sqrt(len(used) / len(rows)))
