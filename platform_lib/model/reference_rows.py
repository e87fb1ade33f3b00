"""Held-out rows with their predictions, stored with a training run, for what bins cannot tell.

Monitoring compares live rows with them row by row, and learns from them where a model of numbers errs.
"""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.data.sample_rows import column_as_sent
from platform_lib.model.artifact import Predictions, category_text

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_FILE = "reference_rows.json"
"""Artifact of a run, as `ReferenceRows`."""
MOST_ROWS = 5_000
MOST_VALUES = 500_000
"""A wide table has fewer rows."""


class ReferenceRows(msgspec.Struct, frozen=True, kw_only=True):
    """n held-out rows as callers would send them, and what the model predicts for them."""

    features: dict[str, list[Any]]
    """In the contract's order; no private columns."""
    predictions: list[Any]
    """Numbers, or classes as text."""
    truth: list[float] | None
    """Of a regression whose target is not private."""


def chosen_rows(rows: int, columns: int, *, seed: int = 0) -> NDArray[np.intp]:
    """Which of the held-out rows are stored: positions, ascending.

    Args:
        rows: Number of held-out rows.
        columns: Number of features.
        seed: Of the choice.
    """
    most = min(rows, MOST_ROWS, max(1, MOST_VALUES // max(columns, 1)))
    return np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))


def build_reference_rows(
    frame: "pd.DataFrame", predictions: Predictions, truth: NDArray[Any], contract: DataContract
) -> ReferenceRows:
    """Collect n rows.

    Args:
        frame: Features, from `data.frame.feature_frame`, shape (n, features).
        predictions: For these rows.
        truth: Their targets, shape (n,).
        contract: Of the frame.
    """
    shown = [name for name in contract.features if not contract.columns[name].is_private]
    numbers = contract.task == "regression"
    values = np.asarray(predictions.values).tolist()
    return ReferenceRows(
        features={name: list(column_as_sent(frame[name], contract.columns[name])) for name in shown},
        predictions=values if numbers else [category_text(value) for value in values],
        truth=np.asarray(truth, dtype=np.float64).tolist()
        if numbers and not contract.columns[contract.target].is_private
        else None,
    )
