"""Scores of predictions: which metrics exist, what each needs, and each as a function of row weights.

One implementation serves the plain score (all weights 1) and a bootstrap (how often each row was drawn). The metrics
are written by hand because the gate's bootstrap scores 1,000 resamples of two models: on 1,000 rows they take 3 to 21
µs per resample, about 100 times less than scikit-learn's (20 to 700 times, by metric), and equal them to a relative
1e-15. `tests/metrics/test_metrics.py` compares the two. `training.gates` decides by the scores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from platform_lib.errors import UsageError
from platform_lib.metrics import classification, positive_class, regression, skill
from platform_lib.metrics.weighting import MetricUndefined, Weighted, draw_weights
from platform_lib.model.artifact import Predictions

_ERROR_ROWS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A score and what it needs."""

    name: str
    task: Literal["classification", "regression"]
    greater_is_better: bool
    needs_probabilities: bool
    prepare: Callable[[NDArray[Any], Predictions], Weighted]
    """Computes what does not depend on the row weights; raises MetricUndefined."""
    constants: Callable[[NDArray[Any], int], list[Predictions]] | None = None
    """Constant predictions for n rows from the training targets, where this metric has better ones than others."""


def metric_named(name: str, task: str | None = None) -> Metric:
    """The metric of that name.

    Args:
        name: Key of `METRICS`.
        task: `classification` or `regression`, which the metric has to fit; None for either.
    Raises:
        UsageError: There is no such metric for the task; lists those that fit and the closest.
    """
    metric = METRICS.get(name)
    if metric is not None and task in (None, metric.task):
        return metric
    fitting = [m.name for m in METRICS.values() if task in (None, m.task)]
    close = get_close_matches(name, fitting, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    what = "is not a metric" if metric is None else f"is a metric of {metric.task}"
    raise UsageError(f"{name!r} {what}; expected one of {', '.join(fitting)}.{hint}")


def score(metric_name: str, truth: NDArray[Any], predictions: Predictions) -> float:
    """Score predictions.

    Args:
        metric_name: Key of `METRICS`.
        truth: Labels, or numbers for regression; shape (n,).
        predictions: For the same n rows in the same order.
    Raises:
        UsageError: No such metric.
        MetricUndefined: The score cannot be computed, such as from a hold-out with one class; says why.
    """
    weighted = weighted_score(metric_name, truth, predictions)
    value = weighted(np.ones(len(truth)))
    if not np.isfinite(value):
        raise MetricUndefined(f"{metric_name} is {value} on these {len(truth)} rows, so it cannot be compared.")
    return value


def weighted_score(metric_name: str, truth: NDArray[Any], predictions: Predictions) -> Weighted:
    """The score as a function of row weights of shape (n,). Takes and raises the same as `score`."""
    metric = metric_named(metric_name)
    if len(truth) == 0:
        raise MetricUndefined(f"{metric_name} cannot be computed: there are no rows.")
    if len(truth) != len(predictions.values):
        raise MetricUndefined(
            f"{metric_name} cannot be computed: {len(truth)} rows have a truth, but {len(predictions.values)} have a "
            "prediction."
        )
    try:
        return metric.prepare(truth, predictions)
    except MetricUndefined as err:
        raise MetricUndefined(f"{metric_name} cannot be computed: {err}") from err


def standard_error(
    metric_name: str, truth: NDArray[Any], predictions: Predictions, *, samples: int = 200, seed: int = 0
) -> float | None:
    """Standard error of a score over hold-outs of this size, by a bootstrap.

    Beyond 10,000 rows, 10,000 of them are resampled and the error is scaled by the square root of the rows: cheap, and
    exact enough to show.

    Args:
        metric_name: Key of `METRICS`.
        truth: Labels, or numbers for regression; shape (n,).
        predictions: For the same n rows in the same order.
        samples: Number of resamples.
        seed: Of the resamples; equal seeds give equal errors.
    Returns:
        In the unit of the metric; None where the score is undefined on more than half of the resamples.
    """
    rows = len(truth)
    generator = np.random.default_rng(seed)
    drawn = min(rows, _ERROR_ROWS)
    if drawn < rows:
        chosen = np.sort(generator.choice(rows, size=drawn, replace=False))
        truth, predictions = truth[chosen], take(predictions, chosen)
    try:
        weighted = weighted_score(metric_name, truth, predictions)
    except MetricUndefined:
        return None
    scores = np.array([weighted(draw_weights(generator, drawn)) for _ in range(samples)])
    scores = scores[np.isfinite(scores)]
    if len(scores) * 2 < samples:
        return None
    return float(np.std(scores) * np.sqrt(drawn / rows))


def take(predictions: Predictions, rows: NDArray[np.intp]) -> Predictions:
    """The predictions of some rows: m positions from 0, shape (m,)."""
    probabilities = None if predictions.probabilities is None else predictions.probabilities[rows]
    return Predictions(predictions.values[rows], probabilities, predictions.classes)


def _classification(
    name: str, prepare: Callable[[NDArray[Any], Predictions], Weighted], *, greater: bool, probabilities: bool
) -> Metric:
    return Metric(
        name=name, task="classification", greater_is_better=greater, needs_probabilities=probabilities, prepare=prepare
    )


def _regression(
    name: str, prepare: Callable[[NDArray[Any], Predictions], Weighted], *, greater: bool = False
) -> Metric:
    return Metric(name=name, task="regression", greater_is_better=greater, needs_probabilities=False, prepare=prepare)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _classification("accuracy", classification.accuracy, greater=True, probabilities=False),
        _classification("balanced_accuracy", classification.balanced_accuracy, greater=True, probabilities=False),
        _classification("f1_macro", classification.f1_macro, greater=True, probabilities=False),
        _classification("f1", positive_class.f1, greater=True, probabilities=False),
        _classification("precision", positive_class.precision, greater=True, probabilities=False),
        _classification("recall", positive_class.recall, greater=True, probabilities=False),
        _classification("mcc", skill.mcc, greater=True, probabilities=False),
        _classification("roc_auc", classification.roc_auc, greater=True, probabilities=True),
        _classification("average_precision", classification.average_precision, greater=True, probabilities=True),
        _classification("log_loss", classification.log_loss, greater=False, probabilities=True),
        _classification("log_loss_skill", skill.log_loss_skill, greater=True, probabilities=True),
        _classification("brier", classification.brier, greater=False, probabilities=True),
        _regression("r2", regression.r2, greater=True),
        _regression("mae", regression.mae),
        _regression("rmse", regression.rmse),
        _regression("medae", regression.medae),
        _regression("mape", regression.mape),
    )
}
"""Every metric by name, those of classification first."""
