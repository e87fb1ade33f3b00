"""The result of a comparison of models: scores with intervals, and what can be told apart."""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import METRICS
from platform_lib.metrics.resampling import deviations, interval
from platform_lib.model.artifact import Predictions

Standing = Literal["best", "the same", "cannot tell", "worse"]
_ROUNDING = 1e-12


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one model."""

    value: float
    interval: tuple[float, float] | None
    """95 % bootstrap interval; None if it is undefined in most resamples."""
    gain: tuple[float, float] | None = None
    """95 % paired-bootstrap interval of the gain over the best model; above 0 is better, for every metric. None for the
    best model itself, and where it is undefined."""


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model that was compared."""

    choices: dict[str, str]
    """What distinguishes it, such as `{"model": "forest"}`."""
    overrides: tuple[str, ...]
    """With which `mlp train` trains it."""
    run_id: str = ""
    standing: Standing | None = None
    """By the paired interval of the gate's metric; None if it could not be compared."""
    metrics: dict[str, Scored] = {}
    fit_seconds: float | None = None
    fit_cpu_seconds: float | None = None
    model_bytes: int | None = None
    """Size of the model file."""
    below: tuple[str, ...] = ()
    """Why the gate would refuse it without a champion: thresholds, and the constant prediction."""
    error: str | None = None
    """Why it could not be compared."""

    @property
    def label(self) -> str:
        """Such as `forest`, or `forest plain` where the features differ as well."""
        return " ".join(self.choices.values())


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Several models on the same rows."""

    metric: str
    """The gate's, by which they are ranked."""
    data: str
    rows: int
    """Number of held-out rows."""
    train_rows: int
    models: list[ModelRow]
    """The best first; those without a score last."""
    left_out: dict[str, str] = {}
    """Choices that were not asked for by name and cannot be built here → the reason."""
    run_id: str = ""
    """The MLflow run above those of the models."""

    @property
    def best(self) -> ModelRow | None:
        """The best model; None if none has a score."""
        return next((row for row in self.models if row.standing == "best"), None)


def rank(
    rows: list[tuple[ModelRow, dict[str, float], Predictions]], truth: NDArray[Any], metric: str, *, samples: int
) -> list[ModelRow]:
    """Add intervals and standings, and sort: the best first.

    Args:
        rows: Per model its row, its scores per metric (`metric` among them), and its predictions for the n held-out
            rows.
        truth: Of these rows, shape (n,).
        metric: That decides; of models with equal scores, the smaller comes first.
        samples: Number of resamples.
    """
    scores = [measured for _, measured, _ in rows]
    names = list(dict.fromkeys(name for measured in scores for name in measured))
    changes = deviations(names, truth, [predictions for _, _, predictions in rows], samples=samples)
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    order = sorted(range(len(rows)), key=lambda place: (-sign * scores[place][metric], rows[place][0].model_bytes or 0))
    return [_finished(rows[place][0], place, order[0], scores, changes, metric) for place in order]


def _finished(
    row: ModelRow,
    place: int,
    best: int,
    scores: list[dict[str, float]],
    changes: dict[str, NDArray[np.float64]],
    metric: str,
) -> ModelRow:
    found = {}
    for name, value in scores[place].items():
        gain = None
        if place != best and name in scores[best]:
            sign = 1.0 if METRICS[name].greater_is_better else -1.0
            gain = interval(sign * (value - scores[best][name]), sign * (changes[name][place] - changes[name][best]))
            gain = gain and (_rounded(gain[0]), _rounded(gain[1]))
        found[name] = Scored(value=value, interval=interval(value, changes[name][place]), gain=gain)
    return msgspec.structs.replace(row, metrics=found, standing=_standing(found[metric], is_best=place == best))


def _standing(scored: Scored, *, is_best: bool) -> Standing:
    if is_best:
        return "best"
    if scored.gain is None:
        return "cannot tell"
    if scored.gain == (0.0, 0.0):
        return "the same"
    return "worse" if scored.gain[1] < 0 else "cannot tell"


def _rounded(value: float) -> float:
    """Without differences that are only in the last bits."""
    return 0.0 if abs(value) <= _ROUNDING else value
