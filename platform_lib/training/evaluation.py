"""Evaluate a fitted pipeline on held-out rows: overall, per slice, and by its errors."""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.slices import named_slices
from platform_lib.metrics import METRICS, score, standard_error, take
from platform_lib.metrics.classification import confusion_counts, encode_labels
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import Predictions, predict
from platform_lib.training.config.schema import TrainConfig

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SMALL_SLICE_ROWS = 30
_WORST_ROWS = 10
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class SliceResult(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics of the rows with one value in one column."""

    column: str
    value: str
    """The value as text, `missing`, an interval of numbers or times, or `other` for the rarest of many texts; for a
    private column only `group 1`, `group 2`, … in the order of its values."""
    rows: int
    metrics: dict[str, float]
    """Only those that can be computed on these rows."""
    small: bool
    """Fewer than 30 rows, so the metrics are mostly noise."""


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """How often each class was predicted for each true class."""

    labels: list[str]
    counts: list[list[int]]
    """One row per true class, one column per predicted class, in the order of `labels`."""


class WorstRow(msgspec.Struct, frozen=True, kw_only=True):
    """One held-out row with a large error."""

    row: int
    """Position among the held-out rows, from 0."""
    truth: float
    prediction: float
    residual: float


class Residuals(msgspec.Struct, frozen=True, kw_only=True):
    """Residuals, prediction − truth, in the target's unit."""

    mean: float
    standard_deviation: float
    quantiles: dict[str, float]
    """By share of rows below: `0`, `0.05`, `0.25`, `0.5`, `0.75`, `0.95`, `1`."""
    worst: list[WorstRow]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The results on the held-out rows. JSON-able by msgspec."""

    rows: int
    metrics: dict[str, float]
    standard_errors: dict[str, float] = {}
    """Per metric, its standard error over hold-outs of this size."""
    baseline: dict[str, float] = {}
    """Per metric, the best score of a constant prediction: the most frequent class with each class's share as
    probability, or the mean or median."""
    not_computed: dict[str, str] = {}
    """Per metric that cannot be computed, the reason."""
    slices: list[SliceResult] = []
    confusion: Confusion | None = None
    residuals: Residuals | None = None


def evaluate(pipeline: "Pipeline", frame: pd.DataFrame, truth: NDArray[Any], config: TrainConfig) -> Evaluation:
    """Evaluate a pipeline on rows that it was not fitted on.

    Args:
        pipeline: Fitted.
        frame: Features of the n held-out rows, from `data.frame.feature_frame`, shape (n, features).
        truth: Their targets, shape (n,).
        config: Task and slices.
    """
    return measure(predict(pipeline, frame), frame, truth, config)


def measure(predictions: Predictions, frame: pd.DataFrame, truth: NDArray[Any], config: TrainConfig) -> Evaluation:
    """Like `evaluate`, from the predictions for the n rows."""
    task = config.data.task
    metrics, why = _scores(task, truth, predictions)
    errors = {name: standard_error(name, truth, predictions) for name in metrics}
    return Evaluation(
        rows=len(truth),
        metrics=metrics,
        standard_errors={name: error for name, error in errors.items() if error is not None},
        not_computed=why,
        slices=[part for column in config.slices for part in _slices(column, frame, truth, predictions, config)],
        confusion=_confusion(truth, predictions) if task == "classification" else None,
        residuals=_residuals(truth, predictions) if task == "regression" else None,
    )


def _scores(task: str, truth: NDArray[Any], predictions: Predictions) -> tuple[dict[str, float], dict[str, str]]:
    scores: dict[str, float] = {}
    why: dict[str, str] = {}
    for name, metric in METRICS.items():
        if metric.task == task:
            try:
                scores[name] = score(name, truth, predictions)
            except MetricUndefined as err:
                why[name] = str(err)
    return scores, why


def _slices(
    column: str, frame: pd.DataFrame, truth: NDArray[Any], predictions: Predictions, config: TrainConfig
) -> list[SliceResult]:
    found = []
    for value, rows in named_slices(frame[column], config.data.columns[column]):
        metrics, _ = _scores(config.data.task, truth[rows], take(predictions, rows))
        found.append(
            SliceResult(
                column=column,
                value=value,
                rows=int(rows.size),
                metrics=metrics,
                small=rows.size < SMALL_SLICE_ROWS,
            )
        )
    return found


def _confusion(truth: NDArray[Any], predictions: Predictions) -> Confusion | None:
    try:
        codes = encode_labels(truth, predictions)
    except MetricUndefined:
        return None
    counts = confusion_counts(codes, np.ones(len(truth))).astype(int)
    return Confusion(labels=[str(label) for label in codes.labels], counts=counts.tolist())


def _residuals(truth: NDArray[Any], predictions: Predictions) -> Residuals | None:
    residuals = np.asarray(predictions.values, dtype=np.float64) - truth
    if not np.isfinite(residuals).all():
        return None
    worst = np.argsort(-np.abs(residuals), kind="stable")[:_WORST_ROWS]
    return Residuals(
        mean=float(residuals.mean()),
        standard_deviation=float(residuals.std()),
        quantiles={f"{share:g}": float(np.quantile(residuals, share)) for share in _QUANTILES},
        worst=[
            WorstRow(
                row=int(row),
                truth=float(truth[row]),
                prediction=float(predictions.values[row]),
                residual=float(residuals[row]),
            )
            for row in worst
        ],
    )
