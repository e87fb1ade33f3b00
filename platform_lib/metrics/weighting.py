"""What all metrics share: row weights, a score as a function of them, and the error where there is no score."""

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
    """The mean of one loss a row."""
    return lambda weights: float(losses @ weights / weights.sum())


def draw_weights(generator: np.random.Generator, rows: int) -> Weights:
    """How often each of n rows is in one bootstrap resample; shape (n,), whole numbers."""
    return np.bincount(generator.integers(0, rows, size=rows), minlength=rows).astype(np.float64)
