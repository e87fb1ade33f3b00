"""Joint drift: can a classifier tell live rows from held-out rows?

A classifier two-sample test (Lopez-Paz and Oquab, ICLR 2017): it is trained on half of both samples and asked about the
other half. It sees what no single column shows, such as two features that no longer go together.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import score, standard_error
from platform_lib.model.artifact import Predictions

MOST_ROWS = 2_000
"""Of each sample, so that the test takes about a second."""
FEWEST_ROWS = 50
_NAMED = 3
_MATTERS = 0.01


class JointDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How well live rows can be told from held-out rows by all features together."""

    auc: float
    """Area under the ROC curve on rows that the classifier was not trained on: 0.5 for no difference, 1 for a complete
    one."""
    error: float
    """Its standard error."""
    p_value: float
    """That a classifier which knows nothing does as well (Mann-Whitney)."""
    limit: float
    drifted: bool
    """Whether the area is over the limit by more than chance."""
    strongest: list[str]
    """Features without which the classifier is worse, the most important first; at most three."""
    live_rows: int
    reference_rows: int


def joint_drift(
    names: list[str],
    reference: NDArray[np.float64],
    live: NDArray[np.float64],
    *,
    limit: float,
    significance: float,
    seed: int = 0,
) -> JointDrift | None:
    """Test all features together.

    Args:
        names: Of the k features.
        reference: Held-out rows, shape (n, k); NaN is missing.
        live: Logged rows, shape (m, k).
        limit: Area from which the rows have drifted.
        significance: Largest p-value of a drift.
        seed: Of the choice of rows, the halves and the classifier.
    Returns:
        None with fewer than 50 rows on either side, or without features.
    """
    if min(len(reference), len(live)) < FEWEST_ROWS or not names:
        return None
    from scipy.stats import mannwhitneyu
    from sklearn.ensemble import RandomForestClassifier

    generator = np.random.default_rng(seed)
    sides = [rows[generator.permutation(len(rows))[:MOST_ROWS]] for rows in (reference, live)]
    fitted = RandomForestClassifier(
        n_estimators=60, min_samples_leaf=10, class_weight="balanced", random_state=seed
    ).fit(*_labelled([rows[::2] for rows in sides]))
    rows, truth = _labelled([rows[1::2] for rows in sides])
    scores = fitted.predict_proba(rows)
    answers = Predictions(truth, scores, (0, 1))
    auc = score("roc_auc", truth, answers)
    p_value = float(mannwhitneyu(scores[truth == 1, 1], scores[truth == 0, 1], alternative="greater").pvalue)
    return JointDrift(
        auc=auc,
        error=standard_error("roc_auc", truth, answers, seed=seed) or 0.0,
        p_value=p_value,
        limit=limit,
        drifted=auc > limit and p_value < significance,
        strongest=_strongest(fitted, names, rows, truth, seed) if p_value < significance else [],
        live_rows=len(sides[1]),
        reference_rows=len(sides[0]),
    )


def _labelled(sides: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return np.vstack(sides), np.repeat([0, 1], [len(side) for side in sides])


def _strongest(
    fitted: object, names: list[str], rows: NDArray[np.float64], truth: NDArray[np.int64], seed: int
) -> list[str]:
    from sklearn.inspection import permutation_importance

    found = permutation_importance(fitted, rows, truth, scoring="roc_auc", n_repeats=2, random_state=seed)
    order = np.argsort(-found.importances_mean)[:_NAMED]
    return [names[place] for place in order if found.importances_mean[place] > _MATTERS]
