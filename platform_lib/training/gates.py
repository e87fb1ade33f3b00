"""The gate: decide from predictions on the same held-out rows whether a candidate may replace the champion."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.errors import PlatformError
from platform_lib.metrics import metric_named, score, standard_error, take, weighted_score
from platform_lib.metrics.weighting import MetricUndefined, draw_weights
from platform_lib.model.artifact import Predictions
from platform_lib.training.config.schema import GateConfig
from platform_lib.training.wording import amount, gain_text

_SEED = 20_261_123
REBASE = "`mlp train --new-baseline` lets the thresholds alone decide"
_EQUALS_PASS = 3.5
"""Standard deviations of the gain: a margin of so many lets about 94 % of the candidates pass that are as good as the
champion, as 3.5 − 1.96 = 1.54 of them are below the mean in 6 %."""
_ROUNDING = 1e-12  # a reloaded champion may differ from itself in the last bits, which must not fail with delta 0


Decision = Literal["passed", "refused", "cannot tell"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's decision, and the numbers that it is based on."""

    passed: bool
    reasons: list[str]
    """Why the candidate did not pass, one sentence each; empty if it passed."""
    decision: Decision = "refused"
    """`cannot tell` if the only reason is that the rows are too few to compare it with the champion."""
    metric: str
    score: float | None
    """The candidate's score in `metric`; None if it cannot be computed."""
    rows: int
    """Number of held-out rows."""
    delta: float
    margin: float | None = None
    """How much worse than the champion it may be on these rows: delta, or more on a small hold-out."""
    baseline: float | None = None
    """Score of the best constant prediction, such as the most frequent class, on the same rows."""
    thresholds: dict[str, float] = {}
    scores: dict[str, float] = {}
    """The candidate's score in each metric that has a threshold."""
    champion_version: str | None = None
    champion_score: float | None = None
    """On the same rows, in the same run."""
    compared_rows: int | None = None
    """Number of held-out rows on which champion and candidate were compared: those that neither was fitted on."""
    compared_score: float | None = None
    """The candidate's score on these rows."""
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
    unseen: NDArray[np.bool_] | None = None,
    constants: Sequence[Predictions] = (),
) -> Verdict:
    """Judge a candidate on the held-out rows.

    Args:
        gate: The metric, its thresholds and delta.
        truth: Targets of the n held-out rows, shape (n,).
        candidate: The candidate's predictions for these rows.
        champion: The champion's predictions for the same rows; None without a champion.
        champion_version: To name it in the reasons.
        best_promoted: The best score in `gate.metric` of any version that was ever promoted; None if there is none.
        unseen: Shape (n,), False for rows that the champion was fitted on, which are not compared; None if for none.
        constants: Predictions that do not depend on the features, for the same rows; the candidate must beat them.
    Raises:
        UsageError: The metric does not exist. A metric that cannot be computed is a refusal, not an error.
    """
    sign = 1.0 if metric_named(gate.metric).greater_is_better else -1.0
    configured = gate.delta
    own, reasons = _computed(gate.metric, truth, candidate)
    scores, below = _thresholds(gate, truth, candidate)
    reasons = list(dict.fromkeys(reasons + below))
    baseline = _baseline(gate.metric, truth, constants, sign)
    asks = gate.thresholds.get(gate.metric) != 0
    if own is not None and baseline is not None and asks and sign * (own - baseline) <= _ROUNDING:
        reasons.append(
            f"{gate.metric} is {amount(own)}, not better than the {amount(baseline)} of a constant prediction"
        )
    against, truth_of = _Comparison(delta=gate.delta), truth
    if champion is not None:
        name = f"the champion, version {champion_version}," if champion_version else "the champion"
        models = (candidate, champion)
        if unseen is not None:
            rows = np.flatnonzero(unseen)
            truth_of, models = truth[rows], (take(candidate, rows), take(champion, rows))
        against = _compare(gate, truth_of, *models, name, sign)
        gate = msgspec.structs.replace(gate, delta=against.delta)
        reasons += against.reasons
    slide = max(gate.delta, against.error)  # the best was scored on other rows, so their number matters, too
    if best_promoted is not None and own is not None and sign * (own - best_promoted) < -slide - _ROUNDING:
        reasons.append(
            f"{gate.metric} is {amount(own)}, worse by {amount(abs(own - best_promoted))} than the best ever promoted, "
            f"{amount(best_promoted)}; {_allowed(slide, configured)}"
        )
    only_open = against.is_open and reasons == against.reasons
    return Verdict(
        passed=not reasons,
        reasons=reasons,
        decision="cannot tell" if only_open else "refused" if reasons else "passed",
        metric=gate.metric,
        score=own,
        rows=len(truth),
        delta=configured,
        margin=gate.delta,
        thresholds=dict(gate.thresholds),
        scores=scores,
        baseline=baseline,
        champion_version=champion_version,
        champion_score=against.score,
        compared_rows=None if champion is None else len(truth_of),
        compared_score=against.own,
        interval=against.interval,
        best_promoted=best_promoted,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Comparison:
    """A candidate compared with the champion."""

    delta: float
    """How much worse it may be on these rows."""
    error: float = 0.0
    """Standard error of the champion's score."""
    own: float | None = None
    """The candidate's score."""
    score: float | None = None
    """The champion's."""
    interval: tuple[float, float] | None = None
    reasons: list[str] = field(default_factory=list)
    is_open: bool = False
    """The rows are too few to tell."""


def _compare(
    gate: GateConfig,
    truth: NDArray[Any],
    candidate: Predictions,
    champion: Predictions,
    name: str,
    sign: float,
) -> _Comparison:
    """Compare on rows that neither model was fitted on."""
    if not len(truth):
        reason = f"{name} cannot be compared: it was fitted on all of the held-out rows. {REBASE}"
        return _Comparison(delta=gate.delta, reasons=[reason], is_open=True)
    own, _ = _computed(gate.metric, truth, candidate)
    champion_score, undefined = _computed(gate.metric, truth, champion)
    if own is None or champion_score is None:
        reasons = [f"{name} cannot be compared: {reason}" for reason in undefined]
        return _Comparison(delta=gate.delta, score=champion_score, reasons=reasons)
    configured, gains = gate.delta, _gains(gate, truth, candidate, champion, sign)
    error = 0.0
    if len(gains) and gate.standard_errors:
        error = standard_error(gate.metric, truth, champion) or 0.0
        margin = max(gate.delta, min(gate.standard_errors * error, _EQUALS_PASS * float(gains.std())))
        gate = msgspec.structs.replace(gate, delta=margin)
    interval = _interval(gains)
    reasons, is_open = _against_champion(gate, name, own, champion_score, interval, sign, len(truth), configured)
    return _Comparison(
        delta=gate.delta,
        error=error,
        own=own,
        score=champion_score,
        interval=interval,
        reasons=reasons,
        is_open=is_open,
    )


def _baseline(metric: str, truth: NDArray[Any], constants: Sequence[Predictions], sign: float) -> float | None:
    scores = []
    for constant in constants:
        with suppress(PlatformError):  # undefined, also in a metric of the project's own
            scores.append(score(metric, truth, constant))
    return max(scores, key=lambda value: sign * value, default=None)


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


def _gains(
    gate: GateConfig, truth: NDArray[Any], candidate: Predictions, champion: Predictions, sign: float
) -> NDArray[np.float64]:
    """The candidate's gain on each resample of the rows, the same rows for both models.

    Resamples in which the metric is undefined, such as those without a row of some class, are left out; empty if more
    than half are.
    """
    ours, theirs = weighted_score(gate.metric, truth, candidate), weighted_score(gate.metric, truth, champion)
    generator = np.random.default_rng(_SEED)
    differences = np.empty(gate.bootstrap_samples)
    for number in range(gate.bootstrap_samples):
        weights = draw_weights(generator, len(truth))
        differences[number] = sign * (ours(weights) - theirs(weights))
    differences = differences[np.isfinite(differences)]
    return differences if len(differences) * 2 >= gate.bootstrap_samples else differences[:0]


def _interval(gains: NDArray[np.float64]) -> tuple[float, float] | None:
    if not len(gains):
        return None
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


def _against_champion(
    gate: GateConfig,
    name: str,
    own: float,
    champion_score: float,
    interval: tuple[float, float] | None,
    sign: float,
    rows: int,
    configured: float,
) -> tuple[list[str], bool]:
    """Why the candidate does not pass, and whether that is because the rows are too few to tell."""
    if interval is None:
        return [
            f"{gate.metric} is undefined in most resamples of the {rows} held-out rows, so {name} cannot be compared: "
            "hold out more rows of the rare classes, or choose another metric"
        ], True
    low, high = interval
    if low >= -gate.delta - _ROUNDING:
        return [], False
    facts = (
        f"{gate.metric} is {amount(own)} against {amount(champion_score)} for {name.rstrip(',')} on the same {rows} "
        f"rows: {gain_text(low, high)} (95 % interval); {_allowed(gate.delta, configured)}"
    )
    if high < 0 or sign * (own - champion_score) < -gate.delta:
        return [facts], False
    return [
        f"{facts}. These rows are too few to show that it is not worse: hold out more rows, or use a larger gate.delta"
    ], True


def _allowed(margin: float, delta: float) -> str:
    return f"delta allows {delta:g}" if margin == delta else f"{amount(margin)} worse is allowed on these rows"
