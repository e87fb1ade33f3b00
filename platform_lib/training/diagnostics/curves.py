"""Diagnostics of classes: confusion matrix, curves and calibration of each class, by scikit-learn."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics.classification import Labels, confusion_counts, encode_labels
from platform_lib.model.artifact import category_text
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable, rounded, rounded_list, wilson
from platform_lib.training.diagnostics.tables import (
    CURVE_POINTS,
    Calibration,
    CalibrationBin,
    ClassCurves,
    ClassTables,
    Curve,
    ScoreDistribution,
)

if TYPE_CHECKING:
    from platform_lib.model.artifact import Predictions

MOST_CLASSES = 20
BINS = 10
_SCORE_BINS = 20
_CHANCE_DRAWS = 200

Flags = NDArray[np.bool_]
Scores = NDArray[np.float64]


def class_tables(rows: HeldOut) -> ClassTables:
    """The confusion matrix, without curves."""
    codes = encode_labels(rows.truth, rows.predictions)
    counts = confusion_counts(codes, np.ones(len(rows))).astype(int)
    return ClassTables(labels=[category_text(label) for label in codes.labels], confusion=counts.tolist())


def class_curves(rows: HeldOut) -> tuple[list[ClassCurves], dict[str, str]]:
    """The curves of the positive class of two, or of each of more classes.

    Returns:
        The curves, and per class without curves the reason.
    Raises:
        NotComputable: The model gives no probabilities.
    """
    codes = encode_labels(rows.truth, rows.predictions)
    probabilities = require_probabilities(rows.predictions)
    shown, missing = _chosen_classes(codes), {}
    curves = []
    for position in shown:
        label = category_text(codes.labels[position])
        is_class = codes.truth == position
        if is_class.all() or not is_class.any():
            missing[label] = f"{'all' if is_class.all() else 'none'} of the {len(rows)} rows are of class {label}."
            continue
        curves.append(_of_one(label, is_class, probabilities[:, position]))
    if (left_out := codes.known - len(shown)) > 0 and codes.known > 2:
        missing["other classes"] = f"only the {MOST_CLASSES} most frequent classes have curves; {left_out} have none."
    return curves, missing


def require_probabilities(predictions: "Predictions") -> Scores:
    """The probabilities, shape (n, k).

    Raises:
        NotComputable: There are none, or some are not numbers.
    """
    if predictions.probabilities is None:
        raise NotComputable("the model gives no probabilities.")
    if not np.isfinite(predictions.probabilities).all():
        raise NotComputable("some probabilities are not finite.")
    return predictions.probabilities


def _chosen_classes(codes: Labels) -> list[int]:
    if codes.known == 2:
        return [1]
    counts = np.bincount(codes.truth, minlength=len(codes.labels))[: codes.known]
    return sorted(np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist())


def _of_one(label: str, is_class: Flags, scores: Scores) -> ClassCurves:
    return ClassCurves(
        label=label,
        rows=int(is_class.sum()),
        base_rate=rounded(is_class.mean()),
        roc=_roc(is_class, scores),
        precision_recall=_precision_recall(is_class, scores),
        calibration=calibration(is_class, scores),
        scores=_distribution(is_class, scores),
    )


def _roc(is_class: Flags, scores: Scores) -> Curve:
    from sklearn.metrics import roc_auc_score, roc_curve

    x, y, thresholds = roc_curve(is_class, scores)
    return _thinned(x, y, thresholds, roc_auc_score(is_class, scores))


def _precision_recall(is_class: Flags, scores: Scores) -> Curve:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(is_class, scores, drop_intermediate=True)
    return _thinned(recall, precision, np.append(thresholds, np.inf), average_precision_score(is_class, scores))


def _thinned(x: Scores, y: Scores, thresholds: Scores, area: float) -> Curve:
    """The points at about equal distances along the curve, both ends among them."""
    kept = np.arange(len(x))
    if len(x) > CURVE_POINTS:
        length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS)))
        # The path may end on points without length.
        kept[-1] = len(x) - 1
    return Curve(
        x=rounded_list(x[kept]),
        y=rounded_list(y[kept]),
        thresholds=[rounded(value) if np.isfinite(value) else None for value in thresholds[kept]],
        area=rounded(area),
    )


def calibration(is_class: Flags, scores: Scores) -> Calibration:
    """Compare the probabilities of a class with its frequency.

    Args:
        is_class: Whether each row is of the class, shape (n,).
        scores: Its probability per row, shape (n,).
    """
    from sklearn.calibration import calibration_curve

    observed, predicted = calibration_curve(is_class, scores, n_bins=BINS, strategy="quantile")
    order = np.argsort(scores, kind="stable")
    ordered, hits = scores[order], is_class[order]
    bins = _quantile_bins(ordered)
    counts = np.bincount(bins, minlength=len(observed))
    counts = counts[counts > 0]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    generator = np.random.default_rng(0)
    simulated = np.array(
        [np.add.reduceat(generator.random(len(ordered)) < ordered, starts, dtype=float) for _ in range(_CHANCE_DRAWS)]
    )
    totals, expected = np.add.reduceat(hits, starts, dtype=float), np.add.reduceat(ordered, starts)
    by_chance = np.abs(simulated - expected).sum(axis=1) / len(ordered)
    return Calibration(
        bins=[
            CalibrationBin(
                rows=int(count),
                predicted=rounded(mean),
                observed=rounded(share),
                interval=wilson(share * count, int(count)),
            )
            for count, mean, share in zip(counts, predicted, observed, strict=True)
        ],
        error=rounded(np.abs(totals - expected).sum() / len(ordered)),
        error_by_chance=rounded(np.quantile(by_chance, 0.95)),
    )


def _quantile_bins(ordered: Scores) -> NDArray[np.intp]:
    """The bin of each probability, in ascending order, as `calibration_curve` forms them."""
    edges = np.percentile(ordered, np.linspace(0, 1, BINS + 1) * 100)
    return np.searchsorted(edges[1:-1], ordered)


def _distribution(is_class: Flags, scores: Scores) -> ScoreDistribution:
    edges = np.linspace(0.0, 1.0, _SCORE_BINS + 1)
    clipped = np.clip(scores, 0.0, 1.0)
    of_class, _ = np.histogram(clipped[is_class], bins=edges)
    of_others, _ = np.histogram(clipped[~is_class], bins=edges)
    return ScoreDistribution(edges=rounded_list(edges), of_class=of_class.tolist(), of_others=of_others.tolist())
