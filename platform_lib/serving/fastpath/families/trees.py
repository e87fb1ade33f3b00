"""Many trees walked by one call.

scikit-learn walks each tree by a call of its own, 4-10 µs each before anything is compared, which is nearly all of the time for few rows. Here all
trees hang on one: its upper nodes lead by a number that is added to each row to the root of that tree, so one call of scikit-learn's own compiled
walk does n × trees of them. For many rows the trees are walked one by one again, without the copy of each row.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.serving.fastpath.blocks import NotCovered, Numbers

_TOGETHER_ROWS = 96
"""Up to so many rows the one call is the faster one."""
_AT_ONCE = 8192
"""Rows × trees of one call: what is copied stays in the cache."""


class Forest:
    """Trees over the same columns."""

    def __init__(self, trees: Sequence[NDArray[Any]], width: int) -> None:
        """Hang them on one.

        Args:
            trees: Nodes in scikit-learn's PREDICTOR_RECORD_DTYPE, the root first, without splits by category.
            width: Number of columns.
        """
        from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

        if any(tree["is_categorical"].any() for tree in trees):
            raise NotCovered("its trees split by category")
        self._walk = _predict_from_raw_data
        self._width, self._trees = width, list(trees)
        self._nodes = _joined(trees, width)
        self._numbers = np.arange(len(trees), dtype=np.float64)
        self._no_sets = np.zeros((0, 8), dtype=np.uint32)
        self._no_map = np.zeros(width + 1, dtype=np.uint32)

    def values(self, block: Numbers) -> Numbers:
        """Each tree's value for each row, shape (trees, n)."""
        rows, trees = len(block), len(self._trees)
        out = np.empty((trees, rows))
        if rows > _TOGETHER_ROWS:
            for tree, values in zip(self._trees, out, strict=True):
                self._walk(tree, block, self._no_sets, self._no_sets, self._no_map, 1, values)
            return out
        part = max(1, _AT_ONCE // trees)
        for start in range(0, rows, part):
            chosen = block[start : start + part]
            wide = np.empty((trees, len(chosen), self._width + 1))
            wide[:, :, : self._width] = chosen
            wide[:, :, self._width] = self._numbers[:, None]
            values = np.empty(trees * len(chosen))
            self._walk(
                self._nodes, wide.reshape(-1, self._width + 1), self._no_sets, self._no_sets, self._no_map, 1, values
            )
            out[:, start : start + part] = values.reshape(trees, len(chosen))
        return out


def _joined(trees: Sequence[NDArray[Any]], width: int) -> NDArray[Any]:
    """Upper nodes that choose a tree by the number in column `width`, then all trees' nodes."""
    upper: list[
        tuple[int, float, int, int]
    ] = []  # own place, threshold, and two places: of upper nodes, or of roots as -1 - tree
    _halve(0, len(trees), upper)
    starts = len(upper) + np.concatenate(([0], np.cumsum([len(tree) for tree in trees])[:-1])).astype(np.int64)
    nodes = np.zeros(len(upper) + sum(len(tree) for tree in trees), dtype=trees[0].dtype)
    for place, threshold, left, right in upper:
        nodes[place]["feature_idx"], nodes[place]["num_threshold"] = width, threshold
        nodes[place]["left"], nodes[place]["right"] = (
            side if side >= 0 else starts[-1 - side] for side in (left, right)
        )
    for start, tree in zip(starts, trees, strict=True):
        part = tree.copy()
        inner = part["is_leaf"] == 0
        part["left"][inner] += np.uint32(start)
        part["right"][inner] += np.uint32(start)
        nodes[start : start + len(tree)] = part
    return nodes


def _halve(first: int, stop: int, upper: list[tuple[int, float, int, int]]) -> int:
    if stop - first == 1:
        return -1 - first
    place = len(upper)
    upper.append((place, 0.0, 0, 0))
    middle = (first + stop) // 2
    left, right = _halve(first, middle, upper), _halve(middle, stop, upper)
    upper[place] = (place, middle - 0.5, left, right)
    return place


def nodes_of(tree: Any, values: NDArray[np.float64]) -> NDArray[Any]:
    """A tree of `sklearn.tree` in the nodes that `Forest` walks; its rows must have been rounded to float32, as `sklearn.tree` does.

    Args:
        tree: Its `tree_`.
        values: One a node, what a leaf answers.
    """
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    if getattr(tree, "categorical_splits", None) is not None:
        raise NotCovered("its trees split by category")
    nodes = np.zeros(tree.node_count, dtype=PREDICTOR_RECORD_DTYPE)
    is_leaf = tree.children_left == -1
    nodes["is_leaf"] = is_leaf
    nodes["value"] = values
    nodes["feature_idx"] = np.where(is_leaf, 0, tree.feature)
    nodes["num_threshold"] = tree.threshold
    nodes["left"] = np.where(is_leaf, 0, tree.children_left)
    nodes["right"] = np.where(is_leaf, 0, tree.children_right)
    nodes["missing_go_to_left"] = tree.missing_go_to_left
    return nodes


def as_single(block: Numbers, *, gaps: bool) -> Numbers:
    """Rounded to float32, as `sklearn.tree` compares.

    Raises:
        ValueError: A value is beyond float32, or missing where `gaps` says that there may be none.
    """
    with np.errstate(over="ignore"):
        single = block.astype(np.float32).astype(np.float64)
    if np.isinf(single).any() or (not gaps and np.isnan(single).any()):
        raise ValueError("a value is missing, or too large for float32")
    return single
