"""Compare champion and canary in the request log: traffic, latency, predictions and score."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.errors import NotFound
from platform_lib.metrics import metric_named, score, standard_error
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import Predictions
from platform_lib.serving.request_log.files import LABELS, PREDICTIONS, LogFolder

MIN_LABELS = 30
"""Labels that each version needs before scores are compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionStats:
    """Statistics of one version."""

    version: str
    requests: int
    rows: int
    p50_ms: float | None
    """Median latency of its requests in milliseconds; None without requests."""
    p99_ms: float | None
    """99th percentile of the latency in milliseconds."""
    predicted: dict[str, float]
    """Share of each class in [0, 1]; for regression only `mean`."""
    labels: int
    """Number of rows with a label."""
    score: float | None
    """None without labels, or if it cannot be computed."""
    error: float | None
    """The score's standard error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogComparison:
    """Champion and canary since the canary started, or since its first row if that time is unknown."""

    metric: str
    champion: VersionStats
    canary: VersionStats
    verdict: str
    """Which version scores better, in one sentence."""


def compare_logged(
    folder: LogFolder,
    model: str,
    champion: str,
    canary: str,
    *,
    metric: str | None = None,
    since: datetime | None = None,
) -> LogComparison | None:
    """Compare two versions from the request log, or return None if the canary has served nothing yet.

    Args:
        folder: The request log.
        model: Name of the model.
        champion: The champion's version.
        canary: The canary's version.
        metric: Name of the score; None is `r2` for regression and `balanced_accuracy` for classification.
        since: Earlier rows are left out, UTC; None takes all rows.
    Raises:
        NotFound: The log has no predictions.
        ServiceError: The log cannot be read.
    """
    columns = ["request_id", "row", "time", "model", "version", "latency_ms", "prediction", "probabilities"]
    table = folder.read(PREDICTIONS, columns=columns, since=since)
    table = table.filter(pc.equal(table["model"], model))
    canary_rows = table.filter(pc.equal(table["version"], canary))
    if not len(canary_rows):
        return None
    metric = metric or ("r2" if pa.types.is_floating(canary_rows["prediction"].type) else "balanced_accuracy")
    try:
        truth = {(row["request_id"], row["row"]): row["label"] for row in folder.read(LABELS, since=since).to_pylist()}
    except NotFound:
        truth = {}
    champion_rows = table.filter(
        pc.and_(pc.equal(table["version"], champion), pc.greater_equal(table["time"], pc.min(canary_rows["time"])))
    )
    stats = _stats(champion_rows, champion, truth, metric), _stats(canary_rows, canary, truth, metric)
    return LogComparison(metric=metric, champion=stats[0], canary=stats[1], verdict=_verdict(metric, *stats))


def _stats(table: pa.Table, version: str, truth: dict[tuple[str, int], str], metric: str) -> VersionStats:
    is_number = metric_named(metric).task == "regression"
    requests = table.group_by("request_id").aggregate([("latency_ms", "max")])
    times = requests["latency_ms_max"].to_numpy()
    keys = zip(table["request_id"].to_pylist(), table["row"].to_pylist(), strict=True)
    known = [place for place, key in enumerate(keys) if key in truth]
    labelled = table.take(known)
    value = error = None
    if known:
        labels = [truth[row["request_id"], row["row"]] for row in labelled.select(["request_id", "row"]).to_pylist()]
        value, error = _score(metric, labels, labelled, is_number=is_number)
    return VersionStats(
        version=version,
        requests=len(requests),
        rows=len(table),
        p50_ms=float(np.quantile(times, 0.5)) if len(times) else None,
        p99_ms=float(np.quantile(times, 0.99)) if len(times) else None,
        predicted=_predicted(table["prediction"].to_pylist(), is_number=is_number),
        labels=len(known),
        score=value,
        error=error,
    )


def _predicted(values: list[Any], *, is_number: bool) -> dict[str, float]:
    if not values:
        return {}
    if is_number:
        return {"mean": float(np.mean(np.asarray(values, dtype=float)))}
    return {str(label): count / len(values) for label, count in sorted(Counter(values).items())}


def _score(metric: str, labels: list[str], table: pa.Table, *, is_number: bool) -> tuple[float | None, float | None]:
    try:
        if is_number:
            truth = np.asarray([float(label) for label in labels])
            predictions = Predictions(table["prediction"].to_numpy().astype(float), None)
        else:
            truth = np.asarray(labels)
            probabilities = [dict(row) for row in table["probabilities"].to_pylist() if row is not None]
            classes = tuple(sorted({name for row in probabilities for name in row} | set(labels)))
            matrix = (
                np.asarray([[row.get(name, 0.0) for name in classes] for row in probabilities])
                if len(probabilities) == len(labels)
                else None
            )
            predictions = Predictions(
                np.asarray(table["prediction"].to_pylist()), matrix, classes if matrix is not None else ()
            )
        return score(metric, truth, predictions), standard_error(metric, truth, predictions)
    except (MetricUndefined, ValueError):
        return None, None


def _verdict(metric: str, champion: VersionStats, canary: VersionStats) -> str:
    labels = min(champion.labels, canary.labels)
    if labels < MIN_LABELS:
        have = f"{canary.labels} rows of the canary and {champion.labels} of the champion have one"
        return f"Too few labels to compare: {have}, expected {MIN_LABELS} each."
    if champion.score is None or canary.score is None or champion.error is None or canary.error is None:
        return f"{metric} cannot be computed from these labels."
    noise = 1.96 * (champion.error**2 + canary.error**2) ** 0.5
    better = (canary.score - champion.score) * (1 if metric_named(metric).greater_is_better else -1)
    if abs(better) <= noise:
        return (
            f"No significant difference: {metric} differs by {abs(better):.4f}, "
            f"and by up to {noise:.4f} from chance alone (95 %)."
        )
    word = "better" if better > 0 else "worse"
    return f"The canary is {word}: {metric} by {abs(better):.4f}, more than the {noise:.4f} of chance (95 %)."
