"""The score of a regression before labels come, from the errors that its model makes on held-out rows.

A forest learns from held-out rows how the error depends on features and prediction. For each live row an error is drawn
from held-out rows that end in the same leaf (as in quantile regression forests, Meinshausen, JMLR 2006), and the
prediction is scored against prediction minus error. The estimate follows a shift of the inputs to where the model errs
more or less. It rests on one assumption: that similar rows still have similar errors. If what the inputs mean has
changed, it cannot know; for rows unlike all held-out ones, it knows only those nearest to them.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from platform_lib.metrics import score
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import Predictions

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

SIMILAR_ERRORS = (
    "The estimate assumes that the errors are still those of similar held-out rows. It cannot see that the meaning of "
    "the inputs changed."
)
MOST_ROWS = 10_000
"""Live rows that errors are drawn for."""
FEWEST_ROWS = 50
"""Fewer held-out rows tell too little about the errors."""
_DRAWS = 40
_LEAF_ROWS = 20


class ErrorModel:
    """How a model of numbers errs, learned from held-out rows."""

    def __init__(self, forest: "RandomForestRegressor", leaves: NDArray[np.intp], errors: NDArray[np.float64]) -> None:
        """Keep the errors in each leaf: of the rows that a tree was fitted on, so that trees differ as samples do."""
        self._forest = forest
        self._trees = []
        for tree, rows in enumerate(forest.estimators_samples_):
            order = np.argsort(leaves[rows, tree], kind="stable")
            self._trees.append((leaves[rows, tree][order], errors[rows][order]))

    def estimated_score(
        self, metric: str, rows: NDArray[np.float64], predictions: NDArray[np.float64], *, seed: int = 0
    ) -> tuple[float, float] | None:
        """Estimate a score.

        Args:
            metric: Name of a metric of regression.
            rows: m live rows, shape (m, k), columns as in `learn_errors`.
            predictions: For these rows, shape (m,).
            seed: Of the drawn errors.
        Returns:
            The mean score over 40 draws of errors, and their standard deviation, which holds both the chance in the
            errors and how little the held-out rows tell; None where the score is undefined.
        """
        usable = np.isfinite(predictions)
        if not usable.any():
            return None
        rows, predictions = rows[usable], predictions[usable]
        generator = np.random.default_rng(seed)
        leaves = self._forest.apply(_with_prediction(rows, predictions))
        given = Predictions(predictions, None)
        scores = []
        for tree, (own, errors) in enumerate(self._trees):
            first = np.searchsorted(own, leaves[:, tree], side="left")
            behind = np.searchsorted(own, leaves[:, tree], side="right")
            drawn = first + (generator.random(len(rows)) * (behind - first)).astype(np.intp)
            try:
                scores.append(score(metric, predictions - errors[drawn], given))
            except MetricUndefined:
                continue
        if len(scores) * 2 < _DRAWS:
            return None
        return float(np.mean(scores)), float(np.std(scores))


def learn_errors(
    rows: NDArray[np.float64], predictions: NDArray[np.float64], truth: NDArray[np.float64], *, seed: int = 0
) -> ErrorModel | None:
    """Learn from held-out rows how the error depends on the row.

    Args:
        rows: n held-out rows, shape (n, k); NaN is missing.
        predictions: For these rows, shape (n,).
        truth: Their targets, shape (n,).
        seed: Of the forest.
    Returns:
        None with fewer than 50 rows.
    """
    usable = np.isfinite(predictions) & np.isfinite(truth)
    if usable.sum() < FEWEST_ROWS:
        return None
    from sklearn.ensemble import RandomForestRegressor

    inputs = _with_prediction(rows[usable], predictions[usable])
    errors = (predictions - truth)[usable]
    forest = RandomForestRegressor(n_estimators=_DRAWS, min_samples_leaf=_LEAF_ROWS, random_state=seed)
    # Both where errors are large and where they have a direction; in units of their spread.
    forest.fit(inputs, np.column_stack([errors, np.abs(errors)]) / (errors.std() or 1.0))
    return ErrorModel(forest, forest.apply(inputs), errors)


def _with_prediction(rows: NDArray[np.float64], predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.where(np.isfinite(rows), rows, np.nan), predictions])
