"""Folds of the training rows for searches, which separate rows by the same rule as the split."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.frame import convert
from platform_lib.data.splits import row_hashes
from platform_lib.errors import CheckFailed, UsageError
from platform_lib.training.boosters.inner_rows import deciding_columns
from platform_lib.training.config.schema import TrainConfig

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Positions of the rows to fit on, and of those to score on."""


def inner_folds(table: pd.DataFrame, truth: NDArray[Any], config: TrainConfig) -> list[Fold]:
    """Divide the training rows into folds.

    With a group split, rows of one group stay together; with a time split, folds are in order of time. Otherwise, rows
    with an equal key stay together, unless the contract says `repeats: separate`. The target never separates rows.

    Args:
        table: The n training rows, shape (n, columns of the contract).
        truth: Their targets, shape (n,).
        config: Split, seed and `search.folds`; there are fewer folds if a class has too few rows or there are too few
            groups.
    Returns:
        Per fold, positions of the rows to fit on and to score on.
    Raises:
        CheckFailed: The rows are too few for two folds.
        UsageError: The time split has no time column.
    """
    if config.split.method == "time":
        return _by_time(table, config)
    deciding = deciding_columns(config)
    if deciding is None:
        return _by_group(np.arange(len(table), dtype=np.uint64), truth, config)
    return _by_group(
        row_hashes(((table[name], config.data.columns[name]) for name in deciding), len(table), ""), truth, config
    )


def _by_group(groups: NDArray[np.uint64], truth: NDArray[Any], config: TrainConfig) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    _, group_of = np.unique(groups, return_inverse=True)
    count = int(group_of.max()) + 1
    folds = min(config.search.folds, count)
    stratify = config.data.task == "classification"
    if stratify:
        # A class needs a row in every fold to be learnt and scored. One with a single row does not limit the folds.
        counts = np.unique(truth.astype(str), return_counts=True)[1]
        folds = min(folds, max(2, int(counts.min())))
    if folds < 2:
        raise CheckFailed(
            f"the {len(truth)} training rows are {count} group, and folds need two or more: add rows, or choose "
            "another split."
        )
    positions = np.zeros((len(truth), 1))
    if count == len(truth):
        splitter = (StratifiedKFold if stratify else KFold)(folds, shuffle=True, random_state=config.seed)
    else:
        splitter = (StratifiedGroupKFold if stratify else GroupKFold)(folds, shuffle=True, random_state=config.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns that a class is rare; see above
        return list(splitter.split(positions, _codes(truth) if stratify else None, group_of))


def _codes(truth: NDArray[Any]) -> NDArray[np.intp]:
    return np.unique(truth.astype(str), return_inverse=True)[1]


def _by_time(table: pd.DataFrame, config: TrainConfig) -> list[Fold]:
    from sklearn.model_selection import TimeSeriesSplit

    column = config.split.column or config.data.time
    if column is None:
        raise UsageError("split=time needs a time column: set split.column, or `time` in the data contract.")
    times, _ = convert(table[column], config.data.columns[column])
    order = np.argsort(times, kind="stable")
    folds = min(config.search.folds, len(order) - 1)
    if folds < 2:
        raise CheckFailed(f"{len(order)} training rows are too few for folds in order of time: add rows.")
    return [(order[fit], order[score]) for fit, score in TimeSeriesSplit(folds).split(order)]
