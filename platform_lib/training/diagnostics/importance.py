"""Permutation importance with intervals, by scikit-learn, on fewer rows and repeats for wider tables."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.metrics import METRICS, score, weighted_score
from platform_lib.metrics.weighting import MetricUndefined, draw_weights
from platform_lib.model.artifact import predict
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable, around, rounded
from platform_lib.training.diagnostics.tables import Importance, Importances

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

MOST_WORK = 5_000_000
"""Predicted rows, each as many as it has columns and 60 more: 1,000 rows of 20 columns, shuffled 3 times, take about
1 to 3 s of CPU. Of rows and columns only, so that a training gives the same diagnostics on every machine."""
_COLUMNS_MORE = 60
_SIZES = ((5000, 5), (2000, 5), (1000, 5), (1000, 3), (500, 3), (250, 3))
"""Rows and repeats, from which the first is taken that is not too much work."""
_RESAMPLES = 40
_PLAIN = "plain"


def permutation_importances(
    pipeline: "Pipeline", rows: HeldOut, metric: str, *, seed: int, most_work: int = MOST_WORK
) -> tuple[Importances, str | None]:
    """How much worse the metric gets when the values of one feature are shuffled.

    The interval covers the choice of rows, by a bootstrap, and of shuffles. The numbers of rows and columns
    decide how many rows are shuffled how often, and, if 250 rows and 3 repeats of all features are still too much, how
    many features: those whose values go along with the predictions most.

    Args:
        pipeline: Fitted.
        rows: The held-out rows.
        metric: Key of `METRICS`.
        seed: Of the rows, shuffles and resamples.
        most_work: Limit of the work, as `MOST_WORK`.
    Returns:
        The importances, and the reason why some features have none.
    Raises:
        MetricUndefined: The metric cannot be computed on the rows.
        NotComputable: There are fewer than two rows.
    """
    from sklearn.inspection import permutation_importance

    if len(rows) < 2:
        raise NotComputable("one row cannot be shuffled.")
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(rows))
    size, repeats, most = _affordable(len(rows), rows.frame.shape[1], most_work)
    chosen = np.sort(order[:size])
    frame, truth = rows.frame.iloc[chosen], rows.truth[chosen]
    names, reason = list(frame.columns), None
    if most < len(names):
        strongest = np.argsort(-_association(rows, chosen), kind="stable")[:most]
        names = [names[position] for position in sorted(strongest.tolist())]
        reason = (
            f"only {most} of {frame.shape[1]} features were shuffled, because a wide table takes long: those that go "
            "along with the predictions most."
        )
    scorer = _Scorer(pipeline, metric, frame, [draw_weights(generator, size) for _ in range(_RESAMPLES)])
    shuffled = permutation_importance(
        scorer, frame[names], truth, scoring=scorer.score, n_repeats=repeats, random_state=seed
    )
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    losses = {name: sign * bunch.importances for name, bunch in shuffled.items()}
    found = [_importance(name, number, losses) for number, name in enumerate(names)]
    return Importances(
        metric=metric,
        score=rounded(scorer.score(scorer, frame[names], truth)[_PLAIN]),
        rows=size,
        repeats=repeats,
        features=sorted(found, key=lambda part: -part.loss),
    ), reason


def precise_metric(rows: HeldOut, metric: str) -> str:
    """The metric to measure importances by: log loss in place of one that only counts labels, which tells less.

    Args:
        rows: The held-out rows.
        metric: Key of `METRICS`; it stays where log loss cannot be computed.
    """
    if not rows.is_classification or METRICS[metric].needs_probabilities:
        return metric
    try:
        score("log_loss", rows.truth, rows.predictions)
    except MetricUndefined:
        return metric
    return "log_loss"


class _Scorer:
    """Scores a frame with some of the columns replaced, under row weights of 1 and under those of each resample."""

    def __init__(
        self, pipeline: "Pipeline", metric: str, frame: pd.DataFrame, resamples: list[NDArray[np.float64]]
    ) -> None:
        self._pipeline = pipeline
        self._metric = metric
        self._frame = frame
        self._resamples = resamples

    def fit(self, frame: Any, truth: Any) -> "_Scorer":
        """Do nothing: scikit-learn takes only what can be fitted."""
        del frame, truth
        return self

    def score(self, estimator: Any, frame: pd.DataFrame, truth: NDArray[Any]) -> dict[str, float]:
        """The scores: the plain one, and one per resample."""
        del estimator
        whole = frame
        if frame.shape[1] < self._frame.shape[1]:
            whole = self._frame.assign(**{name: frame[name].to_numpy() for name in frame.columns})
        weighted = weighted_score(self._metric, truth, predict(self._pipeline, whole))
        scores = {_PLAIN: weighted(np.ones(len(truth)))}
        return scores | {str(number): weighted(weights) for number, weights in enumerate(self._resamples)}


def _importance(name: str, number: int, losses: dict[str, NDArray[np.float64]]) -> Importance:
    plain = losses[_PLAIN][number]
    resampled = np.array([values[number].mean() for resample, values in losses.items() if resample != _PLAIN])
    resampled = resampled[np.isfinite(resampled)]
    of_rows = resampled.var(ddof=1) if len(resampled) > 1 else 0.0
    error = float(np.sqrt(of_rows + plain.var(ddof=1) / len(plain)))
    return Importance(feature=name, loss=rounded(plain.mean()), interval=around(float(plain.mean()), error))


def _affordable(rows: int, columns: int, most_work: int) -> tuple[int, int, int]:
    """How many rows to shuffle, how often, and of how many features."""
    for most_rows, repeats in _SIZES:
        size = min(rows, most_rows)
        if size * repeats * columns * (columns + _COLUMNS_MORE) <= most_work:
            return size, repeats, columns
    size, repeats = min(rows, _SIZES[-1][0]), _SIZES[-1][1]
    return size, repeats, min(columns, max(1, most_work // (size * repeats * (columns + _COLUMNS_MORE))))


def _association(rows: HeldOut, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Per feature the share of the predictions' variance between ten bins, or the categories, of its values."""
    predicted = _as_numbers(rows)[chosen]
    total = float(predicted.var()) or 1.0
    shares = []
    for name in rows.frame.columns:
        series = rows.frame[name].iloc[chosen]
        ranks = series if series.dtype == object else (series.rank(pct=True) * 10).round()
        codes, _ = pd.factorize(ranks, use_na_sentinel=False)
        counts = np.bincount(codes)
        means = np.bincount(codes, predicted) / counts
        shares.append(float(counts @ (means - predicted.mean()) ** 2) / len(predicted) / total - len(counts) / 1e6)
    return np.array(shares)


def _as_numbers(rows: HeldOut) -> NDArray[np.float64]:
    if rows.predictions.probabilities is not None:
        return np.asarray(rows.predictions.probabilities[:, -1])
    if rows.is_classification:
        return pd.factorize(np.asarray(rows.predictions.values, dtype=object))[0].astype(np.float64)
    return np.asarray(rows.predictions.values, dtype=np.float64)
