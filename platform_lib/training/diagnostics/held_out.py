"""The held-out rows that diagnostics are about, and small helpers for their tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.model.artifact import Predictions
from platform_lib.training.diagnostics.tables import Interval

Z95 = 1.959963984540054
"""Standard errors on either side of a 95 % interval."""


class NotComputable(Exception):
    """A part cannot be computed from these rows and this model; the message says why, without values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """n held-out rows, and what a fitted pipeline predicts for them."""

    frame: pd.DataFrame
    """Features, shape (n, features); from `data.frame.feature_frame`."""
    truth: NDArray[Any]
    """Labels or numbers, shape (n,)."""
    predictions: Predictions
    contract: DataContract
    table_rows: NDArray[np.intp]
    """Position of each row in the table, shape (n,)."""
    ids: NDArray[Any] | None = None
    """Values of the id column, shape (n,); None if there is none."""

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def is_classification(self) -> bool:
        """Whether the target is a class."""
        return self.contract.task == "classification"

    @property
    def shows_target(self) -> bool:
        """Whether values of the target may be shown row by row."""
        return not self.contract.columns[self.contract.target].is_private


def rounded(value: Any) -> float:
    """A number with six significant digits.

    Raises:
        NotComputable: It is not finite, which JSON cannot hold.
    """
    if not np.isfinite(value):
        raise NotComputable("a value is not finite.")
    return float(f"{float(value):.6g}")


def rounded_list(values: Iterable[Any]) -> list[float]:
    """Numbers with six significant digits each."""
    return [rounded(value) for value in values]


def around(value: float, error: float) -> Interval:
    """The interval of a value with a normally distributed error.

    Args:
        value: Its middle.
        error: Standard error.
    """
    return Interval(low=rounded(value - Z95 * error), high=rounded(value + Z95 * error))


def wilson(hits: float, rows: int) -> Interval:
    """Wilson's interval of a share: `hits` of `rows` > 0."""
    share, spread = hits / rows, Z95**2 / rows
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * np.sqrt(share * (1 - share) / rows + spread / (4 * rows)) / (1 + spread)
    return Interval(low=rounded(max(0.0, middle - half)), high=rounded(min(1.0, middle + half)))


def error_of_mean(values: NDArray[np.float64]) -> float:
    """Standard error of the mean of n values; 0 of one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
