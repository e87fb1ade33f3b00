"""Evaluate many decision trees in one call.

scikit-learn makes one call per tree, each with an overhead of 4-10 µs, which is nearly all of the time for a few rows.
Here all trees are joined into one: its upper nodes branch on a tree number appended to each row and lead to the root of
that tree. So one call of scikit-learn's own compiled function evaluates n rows × all trees. For many rows, the trees
are evaluated one by one, which avoids copying each row once per tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.serving.fastpath.blocks import NotCovered, Numbers, private_import

_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting"
_JOINED_ROWS = 96
"""Largest number of rows for which one call is faster."""
_ROWS_PER_CALL = 8192
"""Rows × trees per call, so that the copies fit in the CPU cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CategorySplits:
    """Splits by sets of codes, each a bit set of 256 bits: eight uint32."""

    left: Sequence[NDArray[np.uint32]]
    """Per tree, the codes that go to the left in each of its s categorical splits, shape (s, 8)."""
    known: NDArray[np.uint32]
    """Codes seen in training, for each of k categorical columns, shape (k, 8)."""
    rows: NDArray[np.uint32]
    """Row of `known` for each column, shape (columns,)."""


class Forest:
    """Decision trees over the same columns."""

    def __init__(self, trees: Sequence[NDArray[Any]], width: int, splits: CategorySplits | None = None) -> None:
        """Join the trees into one.

        Args:
            trees: Nodes of each tree in scikit-learn's PREDICTOR_RECORD_DTYPE, root first.
            width: Number of columns.
            splits: Their categorical splits; None if they have none.
        Raises:
            NotCovered: A tree has categorical splits that are not given, or this scikit-learn has no such function.
        """
        if splits is None:
            if any(tree["is_categorical"].any() for tree in trees):
                raise NotCovered("its trees have categorical splits")
            none = np.zeros((0, 8), dtype=np.uint32)
            splits = CategorySplits(left=[none] * len(trees), known=none, rows=np.zeros(width, dtype=np.uint32))
        trees = _with_common_sets(trees, splits.left)
        self._evaluate = private_import(f"{_HISTOGRAM}._predictor", "_predict_from_raw_data")
        self._width, self._trees = width, list(trees)
        self._nodes = _joined(trees, width)
        self._numbers = np.arange(len(trees), dtype=np.float64)
        self._sets = np.concatenate(splits.left), splits.known, np.append(splits.rows, np.uint32(0))

    def values(self, block: Numbers) -> Numbers:
        """Each tree's value for each row, shape (trees, n)."""
        rows, trees = len(block), len(self._trees)
        out = np.empty((trees, rows))
        if rows > _JOINED_ROWS:
            for tree, values in zip(self._trees, out, strict=True):
                self._evaluate(tree, block, *self._sets, 1, values)
            return out
        part = max(1, _ROWS_PER_CALL // trees)
        for start in range(0, rows, part):
            chosen = block[start : start + part]
            wide = np.empty((trees, len(chosen), self._width + 1))
            wide[:, :, : self._width] = chosen
            wide[:, :, self._width] = self._numbers[:, None]
            values = np.empty(trees * len(chosen))
            self._evaluate(self._nodes, wide.reshape(-1, self._width + 1), *self._sets, 1, values)
            out[:, start : start + part] = values.reshape(trees, len(chosen))
        return out


def _with_common_sets(trees: Sequence[NDArray[Any]], left: Sequence[NDArray[np.uint32]]) -> list[NDArray[Any]]:
    """Trees whose splits refer to the rows of all trees' sets together."""
    common, start = [], 0
    for tree, sets in zip(trees, left, strict=True):
        if len(sets) and start:
            tree = tree.copy()
            tree["bitset_idx"][tree["is_categorical"] == 1] += np.uint32(start)
        common.append(tree)
        start += len(sets)
    return common


def _joined(trees: Sequence[NDArray[Any]], width: int) -> NDArray[Any]:
    """Return upper nodes that select a tree by its number in column `width`, followed by the nodes of all trees."""
    # Position, threshold, left and right child: the position of an upper node, or -1 - tree for the root of a tree.
    upper: list[tuple[int, float, int, int]] = []
    _halve(0, len(trees), upper)
    starts = len(upper) + np.concatenate(([0], np.cumsum([len(tree) for tree in trees])[:-1])).astype(np.int64)
    nodes = np.zeros(len(upper) + sum(len(tree) for tree in trees), dtype=trees[0].dtype)
    for position, threshold, left, right in upper:
        nodes[position]["feature_idx"], nodes[position]["num_threshold"] = width, threshold
        nodes[position]["left"], nodes[position]["right"] = (
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
    position = len(upper)
    upper.append((position, 0.0, 0, 0))
    middle = (first + stop) // 2
    left, right = _halve(first, middle, upper), _halve(middle, stop, upper)
    upper[position] = (position, middle - 0.5, left, right)
    return position


def nodes_of(tree: Any, values: NDArray[np.float64]) -> NDArray[Any]:
    """Convert a tree of `sklearn.tree` to nodes for `Forest`. Its rows must be rounded to float32, see `as_single`.

    Args:
        tree: The estimator's `tree_`.
        values: Value of each node, shape (nodes,); those of the leaves are returned.
    Raises:
        NotCovered: The tree has categorical splits, or this scikit-learn has no such node type.
    """
    if getattr(tree, "categorical_splits", None) is not None:
        raise NotCovered("its trees have categorical splits")
    nodes = np.zeros(tree.node_count, dtype=private_import(f"{_HISTOGRAM}.common", "PREDICTOR_RECORD_DTYPE"))
    is_leaf = tree.children_left == -1
    nodes["is_leaf"] = is_leaf
    nodes["value"] = values
    nodes["feature_idx"] = np.where(is_leaf, 0, tree.feature)
    nodes["num_threshold"] = tree.threshold
    nodes["left"] = np.where(is_leaf, 0, tree.children_left)
    nodes["right"] = np.where(is_leaf, 0, tree.children_right)
    nodes["missing_go_to_left"] = tree.missing_go_to_left
    return nodes


def as_single(block: Numbers, *, allow_missing: bool) -> Numbers:
    """Round to float32, as `sklearn.tree` does before it compares; the result is float64 again.

    Args:
        block: Shape (n, k).
        allow_missing: Whether values may be NaN.
    Raises:
        ValueError: A value is too large for float32, or is missing although `allow_missing` is false.
    """
    with np.errstate(over="ignore"):
        single = block.astype(np.float32).astype(np.float64)
    if np.isinf(single).any() or (not allow_missing and np.isnan(single).any()):
        raise ValueError("a value is missing, or too large for float32")
    return single
