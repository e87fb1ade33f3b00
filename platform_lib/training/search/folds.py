"""Folds inside the training rows, for searches: they keep apart what the split keeps apart. The held-out rows are never seen here."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.frame import convert
from platform_lib.data.splits import key_columns, row_hashes
from platform_lib.errors import CheckFailed, UsageError
from platform_lib.training.config.schema import TrainConfig

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Positions of the rows to fit on and of those to score on."""


def inner_folds(table: pd.DataFrame, truth: NDArray[Any], config: TrainConfig) -> list[Fold]:
    """Divide the training rows.

    Rows of one group stay together where the split is by group, rows are in order of time where it is by time, and equal rows stay together always.

    Args:
        table: The n training rows, all columns of the contract.
        truth: Their targets, shape (n,).
        config: Split, seed and `search.folds`; fewer folds are made where a class or the groups are too few.
    Raises:
        CheckFailed: Not even two folds can be made.
        UsageError: The time split has no time column.
    """
    if config.split.method == "time":
        return _by_time(table, config)
    column = config.split.column
    deciding = [column] if config.split.method == "group" and column is not None else key_columns(config.data)
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
        # A class needs a row in every fold to be learnt and scored; one that has less than two takes part as it can.
        counts = np.unique(truth.astype(str), return_counts=True)[1]
        folds = min(folds, max(2, int(counts.min())))
    if folds < 2:
        raise CheckFailed(
            f"the {len(truth)} training rows are {count} group, and folds need two or more: bring more rows, or another split."
        )
    positions = np.zeros((len(truth), 1))
    if count == len(truth):
        splitter = (StratifiedKFold if stratify else KFold)(folds, shuffle=True, random_state=config.seed)
    else:
        splitter = (StratifiedGroupKFold if stratify else GroupKFold)(folds, shuffle=True, random_state=config.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn says that a class is rare; see above
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
        raise CheckFailed(f"{len(order)} training rows are too few for folds in order of time: bring more rows.")
    return [(order[fit], order[score]) for fit, score in TimeSeriesSplit(folds).split(order)]
