"""Predictions that use no feature: what a model has to beat before its score means anything."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import Task
from platform_lib.errors import PlatformError
from platform_lib.metrics import METRICS, score
from platform_lib.model.artifact import Predictions


def constant_predictions(
    fitted_on: NDArray[Any], rows: int, task: Task, metric: str | None = None
) -> list[Predictions]:
    """The constant predictions that training rows suggest.

    Args:
        fitted_on: Targets of the training rows, shape (n,), n ≥ 1.
        rows: Number m of rows to predict.
        task: Of the target.
        metric: Whose own constants are added, such as the class that costs least; None adds none.
    Returns:
        For classification the most frequent class, with the share of each class as probabilities. For regression the
        mean and the median. Each of shape (m,).
    """
    own = METRICS[metric].constants if metric is not None else None
    added = own(fitted_on, rows) if own is not None else []
    if task == "regression":
        return [*(Predictions(np.full(rows, value(fitted_on)), None) for value in (np.mean, np.median)), *added]
    texts, first, counts = np.unique(fitted_on.astype(str), return_index=True, return_counts=True)
    classes = fitted_on[first]
    values = np.repeat(classes[[int(counts.argmax())]], rows)
    shares = np.tile(counts / counts.sum(), (rows, 1))
    return [Predictions(values, shares, tuple(classes.tolist()))] * bool(len(texts)) + added


def constant_scores(fitted_on: NDArray[Any], truth: NDArray[Any], task: Task) -> dict[str, float]:
    """Per metric of the task, the best score of a constant prediction; without those that cannot be computed.

    Args:
        fitted_on: Targets of the training rows, shape (n,).
        truth: Targets of the held-out rows, shape (m,).
        task: Of the target.
    """
    scores: dict[str, float] = {}
    constants = constant_predictions(fitted_on, len(truth), task)
    for name, metric in METRICS.items():
        if metric.task != task:
            continue
        own = metric.constants(fitted_on, len(truth)) if metric.constants is not None else []
        for constant in [*constants, *own]:
            try:
                value = score(name, truth, constant)
            except PlatformError:  # also of a metric of the project's own
                continue
            better = max if metric.greater_is_better else min
            scores[name] = better(value, scores.get(name, value))
    return scores
