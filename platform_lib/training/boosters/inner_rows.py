"""Which training rows belong together, and in which order they become inner rows for early stopping."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.boosters.inner_rows import inner_order
from platform_lib.data.frame import convert
from platform_lib.data.splits import key_columns, mix, row_hashes
from platform_lib.training.config.schema import TrainConfig


def deciding_columns(config: TrainConfig) -> list[str] | None:
    """The columns whose equal values keep rows together; None if each row is on its own."""
    if config.split.method == "group" and config.split.column is not None:
        return [config.split.column]
    if config.data.repeats == "separate":
        return None
    # Keys of earlier versions hold the target: it would put rows with equal features into different folds by class.
    return [name for name in key_columns(config.data) if name != config.data.target] or None


def row_order(table: pd.DataFrame, config: TrainConfig) -> NDArray[np.float64]:
    """An order of training rows whose first rows become inner rows: by their key or group, or the latest first.

    Args:
        table: The n training rows, shape (n, columns of the contract).
        config: The split's method.
    Returns:
        Shape (n,); rows that belong together have equal values.
    """
    time = config.split.column or config.data.time
    if config.split.method == "time" and time is not None:
        times, _ = convert(table[time], config.data.columns[time])
        return -times.astype(np.int64).astype(np.float64)
    deciding = deciding_columns(config)
    if deciding is None:
        return mix(np.arange(len(table), dtype=np.uint64)).astype(np.float64)
    salt = f"{config.split.salt}/inner"  # with the split's own, all training rows would come after the held-out ones
    columns = ((table[name], config.data.columns[name]) for name in deciding)
    return row_hashes(columns, len(table), salt).astype(np.float64)


@contextmanager
def with_inner_rows(model: Any, table: pd.DataFrame, truth: NDArray[Any], config: TrainConfig) -> Iterator[None]:
    """Let a model that stops early choose its inner rows as the split chooses held-out rows, while the block runs.

    Args:
        model: The estimator; others than boosted trees need no inner rows.
        table: The n training rows, shape (n, columns of the contract).
        truth: Their targets, shape (n,).
        config: The run's configuration.
    """
    from platform_lib.training.boosters.choice import boosters_in

    if not boosters_in(model):
        yield
        return
    with inner_order(truth, row_order(table, config)):
        yield
