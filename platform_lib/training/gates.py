"""The gate: decide from predictions on the same held-out rows whether a candidate may replace the champion."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import metric_named, score, weighted_score
from platform_lib.metrics.weighting import MetricUndefined, draw_weights
from platform_lib.model.artifact import Predictions
from platform_lib.training.config.schema import GateConfig

_SEED = 20_261_123
_ROUNDING = 1e-12  # a reloaded champion may differ from itself in the last bits, which must not fail with delta 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's decision, and the numbers that it is based on."""

    passed: bool
    reasons: list[str]
    """Why the candidate was refused, one sentence each; empty if it passed."""
    metric: str
    score: float | None
    """The candidate's score in `metric`; None if it cannot be computed."""
    rows: int
    """Number of held-out rows."""
    delta: float
    thresholds: dict[str, float] = {}
    scores: dict[str, float] = {}
    """The candidate's score in each metric that has a threshold."""
    champion_version: str | None = None
    champion_score: float | None = None
    """On the same rows, in the same run."""
    interval: tuple[float, float] | None = None
    """95 % paired-bootstrap interval of the candidate's gain over the champion; above 0 is better, for every metric."""
    best_promoted: float | None = None
    """Best score of all versions of this model that were ever promoted."""


def judge(
    gate: GateConfig,
    *,
    truth: NDArray[Any],
    candidate: Predictions,
    champion: Predictions | None,
    champion_version: str | None = None,
    best_promoted: float | None = None,
) -> Verdict:
    """Judge a candidate on the held-out rows.

    Args:
        gate: The metric, its thresholds and delta.
        truth: Targets of the n held-out rows, shape (n,).
        candidate: The candidate's predictions for these rows.
        champion: The champion's predictions for the same rows; None without a champion.
        champion_version: To name it in the reasons.
        best_promoted: The best score in `gate.metric` of any version that was ever promoted; None if there is none.
    Raises:
        UsageError: The metric does not exist. A metric that cannot be computed is a refusal, not an error.
    """
    sign = 1.0 if metric_named(gate.metric).greater_is_better else -1.0
    own, reasons = _computed(gate.metric, truth, candidate)
    scores, below = _thresholds(gate, truth, candidate)
    reasons = list(dict.fromkeys(reasons + below))
    champion_score = interval = None
    if champion is not None:
        name = f"the champion, version {champion_version}," if champion_version else "the champion"
        champion_score, undefined = _computed(gate.metric, truth, champion)
        reasons += [f"{name} cannot be compared: {reason}" for reason in undefined]
        if own is not None and champion_score is not None:
            interval = _paired_interval(gate, truth, candidate, champion, sign)
            reasons += _against_champion(gate, name, own, champion_score, interval, sign, len(truth))
    if best_promoted is not None and own is not None and sign * (own - best_promoted) < -gate.delta - _ROUNDING:
        reasons.append(
            f"{gate.metric} is {own:.4f}, worse by {abs(own - best_promoted):.4f} than the best ever promoted, "
            f"{best_promoted:.4f}; "
            f"delta allows {gate.delta:g}"
        )
    return Verdict(
        passed=not reasons,
        reasons=reasons,
        metric=gate.metric,
        score=own,
        rows=len(truth),
        delta=gate.delta,
        thresholds=dict(gate.thresholds),
        scores=scores,
        champion_version=champion_version,
        champion_score=champion_score,
        interval=interval,
        best_promoted=best_promoted,
    )


def _computed(metric: str, truth: NDArray[Any], predictions: Predictions) -> tuple[float | None, list[str]]:
    try:
        return score(metric, truth, predictions), []
    except MetricUndefined as err:
        return None, [str(err).rstrip(".")]


def _thresholds(gate: GateConfig, truth: NDArray[Any], candidate: Predictions) -> tuple[dict[str, float], list[str]]:
    scores, reasons = {}, []
    for name, threshold in gate.thresholds.items():
        value, undefined = _computed(name, truth, candidate)
        reasons += undefined
        if value is None:
            continue
        scores[name] = value
        greater = metric_named(name).greater_is_better
        if (value < threshold) if greater else (value > threshold):
            side = "below" if greater else "above"
            reasons.append(f"{name} is {value:.4f}, {abs(value - threshold):.4f} {side} its threshold {threshold:g}")
    return scores, reasons


def _paired_interval(
    gate: GateConfig, truth: NDArray[Any], candidate: Predictions, champion: Predictions, sign: float
) -> tuple[float, float] | None:
    """The 2.5 % and 97.5 % quantiles of the gain over resamples of the rows, the same rows for both models.

    Resamples in which the metric is undefined, such as those without a row of some class, are ignored; None if more
    than half are.
    """
    ours, theirs = weighted_score(gate.metric, truth, candidate), weighted_score(gate.metric, truth, champion)
    generator = np.random.default_rng(_SEED)
    differences = np.empty(gate.bootstrap_samples)
    for number in range(gate.bootstrap_samples):
        weights = draw_weights(generator, len(truth))
        differences[number] = sign * (ours(weights) - theirs(weights))
    differences = differences[np.isfinite(differences)]
    if len(differences) * 2 < gate.bootstrap_samples:
        return None
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)


def _against_champion(
    gate: GateConfig,
    name: str,
    own: float,
    champion_score: float,
    interval: tuple[float, float] | None,
    sign: float,
    rows: int,
) -> list[str]:
    if interval is None:
        return [
            f"{gate.metric} is undefined in most resamples of the {rows} held-out rows, so {name} cannot be compared: "
            "hold out more rows of the rare classes, or choose another metric"
        ]
    low, high = interval
    if low >= -gate.delta - _ROUNDING:
        return []
    gain = sign * (own - champion_score)
    facts = (
        f"{gate.metric} is {own:.4f} against {champion_score:.4f} for {name.rstrip(',')} on the same {rows} rows; the "
        "95 % interval of the gain is "
        f"[{low:+.4f}, {high:+.4f}], and its lower end is {-gate.delta - low:.4f} below the −{gate.delta:g} that delta "
        "allows"
    )
    if gain < -gate.delta:
        return [facts]
    return [
        f"{facts}. These rows are too few to show that it is not worse: hold out more rows, or use a larger gate.delta"
    ]
