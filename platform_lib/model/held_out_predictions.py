"""Predictions for the held-out rows, computed once for the evaluation, the diagnostics and the gate."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from platform_lib.model.artifact import Predictions, predict

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_CHECKED_ROWS = 200


class HeldOutPredictions:
    """The latest predictions, which are used again while pipeline and rows are the same."""

    def __init__(self) -> None:
        self._known: tuple[Pipeline, pd.DataFrame, Predictions] | None = None

    def __call__(self, pipeline: "Pipeline", frame: pd.DataFrame) -> Predictions:
        """As `model.artifact.predict`.

        The user's code may fit a pipeline again between two steps, so a sample of the rows is predicted each time.
        """
        known = self._known
        if known is None or known[0] is not pipeline or known[1] is not frame or not _still(pipeline, frame, known[2]):
            known = self._known = (pipeline, frame, predict(pipeline, frame))
        return known[2]


def _still(pipeline: "Pipeline", frame: pd.DataFrame, before: Predictions) -> bool:
    """Whether the pipeline predicts a sample of the n rows as before, up to rounding."""
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), _CHECKED_ROWS)).astype(int))
    now = predict(pipeline, frame.iloc[rows])
    if now.classes != before.classes or (now.probabilities is None) != (before.probabilities is None):
        return False
    if now.classes and not np.array_equal(now.values, before.values[rows]):
        return False
    pairs = [] if now.classes else [(now.values, before.values)]
    if now.probabilities is not None and before.probabilities is not None:
        pairs.append((now.probabilities, before.probabilities))
    return all(np.allclose(new, old[rows], rtol=1e-9, atol=1e-12) for new, old in pairs)
