"""Row weights, a score as a function of them, and the error for a score that is undefined."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from platform_lib.errors import CheckFailed

Weights = NDArray[np.float64]
Weighted = Callable[[Weights], float]
"""Score under row weights of shape (n,); NaN where it is not defined under them."""


class MetricUndefined(CheckFailed):
    """A metric cannot be computed from these rows and predictions."""


def mean_of(losses: NDArray[np.float64]) -> Weighted:
    """The weighted mean of one loss per row, shape (n,)."""
    return lambda weights: float(losses @ weights / weights.sum())


def draw_weights(generator: np.random.Generator, rows: int) -> Weights:
    """Draw a bootstrap resample: how often each of n rows is in it, shape (n,), whole numbers that sum to n."""
    return np.bincount(generator.integers(0, rows, size=rows), minlength=rows).astype(np.float64)
