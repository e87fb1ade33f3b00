"""What a boosting library is given to fit, and what it returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Predict = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From a block, shape (n, k), to numbers, shape (n,), or to probabilities, shape (n, classes)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """n rows to fit on, or to stop early by."""

    block: NDArray[np.float64]
    """Shape (n, k); NaN is a missing value."""
    target: NDArray[Any]
    """Class numbers from 0, or numbers; shape (n,)."""
    weights: NDArray[np.float64] | None
    """Shape (n,)."""

    def where(self, mask: NDArray[np.bool_]) -> "Rows":
        """The rows where the mask is True."""
        weights = None if self.weights is None else self.weights[mask]
        return Rows(block=self.block[mask], target=self.target[mask], weights=weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One fit of one library."""

    rows: Rows
    inner: Rows | None
    """Rows by which to stop early; None fits all trees."""
    classes: int
    """Number of classes; 0 is regression."""
    categorical: tuple[int, ...]
    """Positions of the columns that hold category numbers from 0, NaN where missing."""
    params: dict[str, Any]
    """Keyword arguments of the library's estimator, `n_estimators` among them."""
    patience: int
    """Trees without improvement on the inner rows after which to stop; only with `inner`."""
    seed: int
    threads: int


def fewest_trees(losses: Sequence[float], classes: int) -> int:
    """The fewest trees whose loss on the inner rows is as small as the best one, for any practical purpose.

    On rows that are easy to tell apart, the loss of a classifier falls for hundreds of trees that change no answer.

    Args:
        losses: Log loss in nats, or another loss of a regressor, after 1, 2, … trees.
        classes: Number of classes; 0 is regression.
    """
    best = min(losses)
    tolerance = 0.001 if classes else 0.002 * abs(best)
    return next(place for place, loss in enumerate(losses, 1) if loss <= best + tolerance)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model."""

    model: bytes
    """In the library's own format; empty for a fit with inner rows, which only counts trees."""
    trees: int
    """Number of boosting rounds; with inner rows, the number to fit."""
