"""Choose the inner rows, a part of the training rows by which a fit is stopped early.

A fit gets only features and target, so the caller announces with `inner_order` which rows belong together: by their
key, their group or their time, as in the split. Without it, equal feature rows stay together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST = 50
"""Inner rows below which a larger share is taken, because their score would be noise."""
_LARGEST_SHARE = 0.3

_ORDER: ContextVar[tuple[NDArray[Any], NDArray[np.float64]] | None] = ContextVar("inner_order", default=None)


@contextmanager
def inner_order(target: NDArray[Any], order: NDArray[np.float64]) -> Iterator[None]:
    """Announce how to choose inner rows in the fits of this block.

    Args:
        target: The rows' targets, shape (n,). A fit on other rows, as in a cross-validation inside the model, does not
            use the order.
        order: Rows with the smallest values become inner rows, and equal values stay together; shape (n,).
    """
    token = _ORDER.set((target, order))
    try:
        yield
    finally:
        _ORDER.reset(token)


def inner_mask(
    block: NDArray[np.float64], target: NDArray[Any], share: float, codes: NDArray[np.intp] | None
) -> NDArray[np.bool_] | None:
    """Choose inner rows.

    Args:
        block: Shape (n, k).
        target: As `fit` got it, shape (n,).
        share: Of the rows, in (0, 0.5]; more of a small table.
        codes: Class numbers, shape (n,); None for regression. Classes that have only inner rows are fitted on.
    Returns:
        Shape (n,), True for inner rows; None if there would be none.
    """
    rows = len(block)
    announced = _ORDER.get()
    if announced is not None and len(announced[0]) == rows and np.array_equal(announced[0], target):
        order = announced[1]
    else:
        order = _hashes(block)
    share = max(share, min(_LARGEST_SHARE, _FEWEST / rows))
    limit = np.partition(order, min(int(share * rows), rows - 1))[min(int(share * rows), rows - 1)]
    mask: NDArray[np.bool_] = order < limit
    if codes is not None:
        fitted = np.zeros(int(codes.max()) + 1, dtype=bool)
        fitted[codes[~mask]] = True
        mask &= fitted[codes]
    return mask if mask.any() and not mask.all() else None


def _hashes(block: NDArray[np.float64]) -> NDArray[np.float64]:
    from platform_lib.data.splits import mix

    state = np.zeros(len(block), dtype=np.uint64)
    for column in block.T:
        numbers = np.where(np.isnan(column), np.nan, column) + 0.0  # one NaN and one zero
        state = mix(state + mix(numbers.view(np.uint64)))
    return state.astype(np.float64)
