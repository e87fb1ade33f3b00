"""What each threshold would give for two classes: precision, recall, F1, and the cost of errors."""

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics.classification import encode_labels
from platform_lib.model.artifact import category_text
from platform_lib.training.diagnostics.curves import require_probabilities
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable, rounded, rounded_list
from platform_lib.training.diagnostics.tables import CURVE_POINTS, CostChoice, Thresholds

MISS_COSTS = (1.0, 5.0, 20.0)
"""Prices of a missed positive, in false alarms."""


def threshold_table(rows: HeldOut, current: float | None) -> Thresholds:
    """Count hits and errors at up to 200 thresholds: probabilities that occur, at about equal numbers of rows.

    Args:
        rows: Of two classes.
        current: The threshold of the model's own predictions.
    Raises:
        NotComputable: Other than two classes, no probabilities, or no row is of the positive class.
    """
    codes = encode_labels(rows.truth, rows.predictions)
    if codes.known != 2:
        raise NotComputable(f"thresholds are for two classes, and the model has {codes.known}.")
    scores = require_probabilities(rows.predictions)[:, 1]
    is_positive = codes.truth == 1
    if not is_positive.any():
        raise NotComputable("no row is of the positive class.")
    thresholds = np.unique(scores)
    if len(thresholds) > CURVE_POINTS:
        thresholds = np.unique(np.quantile(scores, np.linspace(0, 1, CURVE_POINTS), method="inverted_cdf"))
    order = np.argsort(scores, kind="stable")
    below = np.searchsorted(scores[order], thresholds)  # rows predicted negative
    missed = np.concatenate([[0], np.cumsum(is_positive[order])])[below]
    hits = int(is_positive.sum()) - missed
    alarms = len(rows) - below - hits
    # There is no threshold without a row predicted positive, since each one is the probability of a row.
    precision, recall = hits / (hits + alarms), hits / is_positive.sum()
    f1 = 2 * hits / (2 * hits + alarms + missed)
    predicted = (hits + alarms) / len(rows)

    def choice(miss_cost: float) -> CostChoice:
        costs: NDArray[np.float64] = (alarms + miss_cost * missed) / len(rows)
        best = int(costs.argmin())
        return CostChoice(
            miss_cost=miss_cost,
            threshold=rounded(thresholds[best]),
            cost=rounded(costs[best]),
            precision=rounded(precision[best]),
            recall=rounded(recall[best]),
            predicted=rounded(predicted[best]),
        )

    return Thresholds(
        positive=category_text(codes.labels[1]),
        current=current,
        thresholds=rounded_list(thresholds),
        precision=rounded_list(precision),
        recall=rounded_list(recall),
        f1=rounded_list(f1),
        predicted=rounded_list(predicted),
        true_positives=hits.tolist(),
        false_positives=alarms.tolist(),
        false_negatives=missed.tolist(),
        true_negatives=(below - missed).tolist(),
        best_f1=rounded(thresholds[int(f1.argmax())]),
        costs=[choice(miss_cost) for miss_cost in MISS_COSTS],
    )
