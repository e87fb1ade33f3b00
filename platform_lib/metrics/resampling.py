"""How scores of several models vary together over hold-outs of a size, by a paired bootstrap."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import score, take, weighted_score
from platform_lib.metrics.weighting import MetricUndefined, draw_weights
from platform_lib.model.artifact import Predictions

_MOST_ROWS = 10_000


def deviations(
    names: Iterable[str],
    truth: NDArray[Any],
    models: Sequence[Predictions],
    *,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """By how much the score of each model changes in each resample of the rows, the same rows for all models.

    Beyond 10,000 rows, 10,000 of them are resampled, and the deviations are scaled by the square root of the rows.

    Args:
        names: Metrics.
        truth: Labels, or numbers for regression; shape (n,).
        models: The predictions of m models for the same n rows.
        samples: Number s of resamples.
        seed: Of the resamples; equal seeds give equal deviations.
    Returns:
        Per metric, shape (m, s), in the metric's unit; NaN where a score is undefined.
    """
    rows = len(truth)
    generator = np.random.default_rng(seed)
    drawn = min(rows, _MOST_ROWS)
    if drawn < rows:
        chosen = np.sort(generator.choice(rows, size=drawn, replace=False))
        truth, models = truth[chosen], [take(model, chosen) for model in models]
    found, scorers = {}, []
    for name in names:
        changes = found[name] = np.full((len(models), samples), np.nan)
        for place, model in enumerate(models):
            try:
                scorers.append((changes[place], weighted_score(name, truth, model), score(name, truth, model)))
            except MetricUndefined:
                continue
    for number in range(samples):
        weights = draw_weights(generator, drawn)
        for changes, weighted, whole in scorers:
            changes[number] = weighted(weights) - whole
    scale = np.sqrt(drawn / rows) if rows else 1.0
    return {name: np.where(np.isfinite(changes), changes * scale, np.nan) for name, changes in found.items()}


def interval(value: float, changes: NDArray[np.float64]) -> tuple[float, float] | None:
    """The 95 % interval of a score, or of a difference of two.

    Args:
        value: On all rows.
        changes: Of `deviations`, or their difference; shape (s,).
    Returns:
        None where it is undefined in more than half of the resamples.
    """
    known = changes[np.isfinite(changes)]
    if len(known) * 2 < len(changes) or not len(known):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(value + low), float(value + high)
