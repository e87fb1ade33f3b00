"""Find columns that give the target away: each alone predicts one half of the rows, as learned from the other."""

import shlex
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.data.imports.type_inference import InferredColumn

_MAX_ROWS = 20_000
_MIN_ROWS = 60
_BINS = 64
_MISSING_TELLS = 0.9
_CATEGORY_TELLS = 0.95
_NUMBER_TELLS = 0.98
"""Higher, because measurements of well separated classes are honest: a petal's width tells three irises at 0.96."""


def leaks(contract: DataContract, inferred: Mapping[str, InferredColumn]) -> list[str]:
    """Warn about each feature that alone, or by being missing, predicts the target almost perfectly.

    The score is the balanced accuracy for classes, and for numbers the share of the variance of the target's ranks; it
    is measured on rows that the prediction was not learned from.

    Args:
        contract: Names the features and the target.
        inferred: Per column of the contract.
    """
    target = inferred[contract.target]
    truth = _Truth(target, is_number=contract.task == "regression")
    found = []
    for name in contract.features:
        column = inferred[name]
        remedy = (
            f"Leave it out with --replace --column {shlex.quote(name + ':ignore')}, unless it is known before the "
            "target is."
        )
        if column.distinct == target.distinct > 1 and _is_equal(column.values, target.values):
            what = f"equals the target {contract.target!r} in every row, so a model would only copy it"
        elif column.distinct == target.distinct > 1 and not truth.is_number and _is_renaming(column, target):
            what = f"determines the target {contract.target!r} one to one, so a model would only translate it"
        elif (score := truth.told_by(_presence(column.values))) >= _MISSING_TELLS:
            what = f"gives the target {contract.target!r} away: whether it is missing predicts it with {score:.0%}"
        elif (score := truth.told_by(_codes(column))) >= (_NUMBER_TELLS if _is_ordered(column) else _CATEGORY_TELLS):
            what = f"gives the target {contract.target!r} away: alone it predicts it with {score:.0%}"
        else:
            continue
        found.append(f"{name!r} {what}. {remedy}")
    return found


class _Truth:
    """The target of some rows, and how well a column's codes predict it."""

    def __init__(self, target: InferredColumn, *, is_number: bool) -> None:
        self.is_number = is_number
        rows = len(target.values)
        order = np.random.default_rng(0).permutation(rows)[:_MAX_ROWS]
        half = len(order) // 2
        self._learn, self._test = order[:half], order[half:]
        self._is_enough = rows >= _MIN_ROWS
        numbers = target.values.to_numpy() if is_number else np.empty(0)
        self._ranks = np.argsort(np.argsort(numbers, kind="stable"), kind="stable") / max(rows - 1, 1)
        self._classes = np.empty(0, dtype=np.intp) if is_number else _dictionary(target.values)

    def told_by(self, codes: NDArray[np.intp]) -> float:
        """How well the codes predict the target, from 0 (or below) to 1; 0 where there are too few rows.

        Args:
            codes: From 0, shape (n,).
        """
        if not self._is_enough or codes.max(initial=0) == 0:
            return 0.0
        return self._of_numbers(codes) if self.is_number else self._of_classes(codes)

    def _of_numbers(self, codes: NDArray[np.intp]) -> float:
        learn, test = codes[self._learn], codes[self._test]
        truth, size = self._ranks[self._test], int(codes.max()) + 1
        counts = np.bincount(learn, minlength=size)
        overall = self._ranks[self._learn].mean()
        means = np.where(
            counts > 0, np.bincount(learn, self._ranks[self._learn], size) / np.maximum(counts, 1), overall
        )
        spread = float(((truth - truth.mean()) ** 2).sum())
        return 1 - float(((truth - means[test]) ** 2).sum()) / spread if spread > 0 else 0.0

    def _of_classes(self, codes: NDArray[np.intp]) -> float:
        classes, size = int(self._classes.max()) + 1, int(codes.max()) + 1
        table = np.zeros((size, classes))
        np.add.at(table, (codes[self._learn], self._classes[self._learn]), 1)
        totals = table.sum(axis=0)
        guesses = (table / np.maximum(totals, 1)).argmax(axis=1)
        truth = self._classes[self._test]
        hits, counts = (
            np.bincount(truth, guesses[codes[self._test]] == truth, classes),
            np.bincount(truth, minlength=classes),
        )
        return float((hits[counts > 0] / counts[counts > 0]).mean())


def _presence(values: pa.ChunkedArray) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = pc.is_valid(values).to_numpy().astype(np.intp)
    return codes


def _codes(column: InferredColumn) -> NDArray[np.intp]:
    """The column's values as codes from 0, missing ones included; numbers and times in bins of equal size."""
    if not _is_ordered(column) or column.distinct <= _BINS:
        return _dictionary(column.values)
    numbers = column.values.cast(pa.int64()) if pa.types.is_timestamp(column.values.type) else column.values
    numbers = pc.fill_null(numbers.cast(pa.float64(), safe=False), np.nan).to_numpy()
    known = ~np.isnan(numbers)
    edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, _BINS + 1)[1:-1]))
    codes: NDArray[np.intp] = np.where(known, np.searchsorted(edges, numbers, side="right") + 1, 0).astype(np.intp)
    return codes


def _is_ordered(column: InferredColumn) -> bool:
    return column.column.type in ("integer", "number", "datetime")


def _dictionary(values: pa.ChunkedArray) -> NDArray[np.intp]:
    whole = values.combine_chunks()
    indices = pc.fill_null(whole.dictionary_encode().indices.cast(pa.int64()), -1)
    codes: NDArray[np.intp] = (indices.to_numpy(zero_copy_only=False) + 1).astype(np.intp)
    return codes


def _is_equal(values: pa.ChunkedArray, truth: pa.ChunkedArray) -> bool:
    if values.type != truth.type:
        if pa.string() in (values.type, truth.type) or not (_is_number(values.type) and _is_number(truth.type)):
            return False
        values, truth = values.cast(pa.float64()), truth.cast(pa.float64())
    return values.null_count == 0 and bool(pc.all(pc.equal(values, truth)).as_py())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_renaming(column: InferredColumn, target: InferredColumn) -> bool:
    if column.missing:
        return False
    pairs = pa.table({"value": column.values, "truth": target.values}).group_by(["value", "truth"]).aggregate([])
    return bool(pairs.num_rows == target.distinct)
