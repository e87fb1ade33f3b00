"""The live score: predictions compared with the labels that came later."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import metric_named, score, standard_error, take
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import Predictions, category_text
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.logged import Labels, as_numbers


class ScoreWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The score of one window."""

    rows: int
    """Rows that were predicted."""
    labelled: int
    """Rows of them with a usable label."""
    score: float | None
    """None without enough labels, or where the score is undefined."""
    error: float | None
    """Its standard error."""
    estimate: float | None = None
    """The score that is expected before labels come; `LiveScore.assumption` says on what condition."""
    estimate_error: float | None = None
    """Its standard deviation."""


class LiveScore(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of the period and of its windows."""

    metric: str
    greater_is_better: bool
    held_out: float | None
    """The version's score on its held-out rows when it was trained."""
    total: ScoreWindow
    windows: list[ScoreWindow]
    label_delay_s: float | None
    """Median seconds between prediction and label."""
    duplicates: int
    """Labels that a later one replaced."""
    unknown: int
    """Labels of rows that are not in the log."""
    unusable: int
    """Labels that are no number, or a class that the model does not know."""
    unlike: list[str] = []
    """Columns whose labelled rows differ from those without label: the score may not speak for all rows."""
    assumption: str = ""
    """What the estimates rest on, a sentence; empty if there are none."""
    fallen: bool = False
    """Whether the score is below the held-out one by more than chance and the allowed drop."""


Estimate = tuple[float, float]
"""An expected score and its standard deviation."""


class Estimates(msgspec.Struct, frozen=True, kw_only=True):
    """Scores that are expected before labels come."""

    assumption: str
    """What they rest on, a sentence."""
    total: Estimate | None
    windows: list[Estimate | None]


def with_estimates(score: LiveScore, estimates: Estimates) -> LiveScore:
    """Add estimates to the scores."""
    parts = [_estimated(part, found) for part, found in zip(score.windows, estimates.windows, strict=True)]
    total = _estimated(score.total, estimates.total)
    known = any(part.estimate is not None for part in (*parts, total))
    return msgspec.structs.replace(score, windows=parts, total=total, assumption=estimates.assumption if known else "")


def _estimated(part: ScoreWindow, found: Estimate | None) -> ScoreWindow:
    if found is None:
        return part
    return msgspec.structs.replace(part, estimate=found[0], estimate_error=found[1])


def live_score(
    metric: str,
    predictions: Predictions,
    labels: Labels,
    window: NDArray[np.intp],
    windows: int,
    *,
    held_out: tuple[float, float] | None,
    config: MonitorConfig,
) -> LiveScore:
    """Score the labelled rows, overall and per window.

    Args:
        metric: Name of a metric of the model's task.
        predictions: Of n logged rows.
        labels: Of some of these rows.
        window: The window of each row, shape (n,), from 0.
        windows: Number of windows.
        held_out: Score on the held-out rows at training, and its standard error; None if unknown.
        config: Limits.
    """
    truth, usable = _usable(labels, predictions)
    rows, truth = labels.rows[usable], truth[usable]
    of_labelled = window[rows]
    parts = [
        _scored(metric, predictions, rows[of_labelled == i], truth[of_labelled == i], int((window == i).sum()), config)
        for i in range(windows)
    ]
    total = _scored(metric, predictions, rows, truth, len(window), config)
    better = metric_named(metric).greater_is_better
    return LiveScore(
        metric=metric,
        greater_is_better=better,
        held_out=None if held_out is None else held_out[0],
        total=total,
        windows=parts,
        label_delay_s=float(np.median(labels.delays)) if len(labels.delays) else None,
        duplicates=labels.duplicates,
        unknown=labels.unknown,
        unusable=int((~usable).sum()),
        fallen=_has_fallen(parts, total, held_out, better=better, config=config),
    )


def _usable(labels: Labels, predictions: Predictions) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if np.issubdtype(np.asarray(predictions.values).dtype, np.floating):
        return as_numbers(labels.truth.tolist())
    known = set(predictions.classes) or set(predictions.values.tolist())
    truth = np.array([as_class(label, known) for label in labels.truth], dtype=object)
    if not predictions.classes:
        return truth, np.ones(len(truth), dtype=bool)  # a class that was never predicted may still exist
    return truth, np.array([label in known for label in truth], dtype=bool)


def as_class(label: str, known: set[str]) -> str:
    """A label as predictions write classes: 3.0 is 3, unless 3.0 is a class itself."""
    text = label.strip()
    if text in known:
        return text
    try:
        return category_text(float(text))
    except (ValueError, OverflowError):
        return text


def _scored(
    metric: str,
    predictions: Predictions,
    rows: NDArray[np.intp],
    truth: NDArray[Any],
    predicted: int,
    config: MonitorConfig,
) -> ScoreWindow:
    value = error = None
    if len(rows) >= config.min_labels:
        chosen = take(predictions, rows)
        try:
            value = score(metric, truth, chosen)
            error = standard_error(metric, truth, chosen)
        except MetricUndefined:
            value = None
    return ScoreWindow(rows=predicted, labelled=len(rows), score=value, error=error)


def _has_fallen(
    parts: list[ScoreWindow],
    total: ScoreWindow,
    held_out: tuple[float, float] | None,
    *,
    better: bool,
    config: MonitorConfig,
) -> bool:
    """Judge the latest window that has a score, else the whole period."""
    latest = next((part for part in reversed(parts) if part.score is not None), total)
    if held_out is None or latest.score is None or latest.error is None:
        return False
    drop = (held_out[0] - latest.score) * (1 if better else -1)
    chance = 1.645 * float(np.hypot(held_out[1], latest.error))  # one-sided, 95 %
    return drop - chance > config.score_drop
