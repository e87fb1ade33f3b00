"""Which held-out rows the champion was not fitted on: only these compare it with a candidate."""

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.splits import held_out_by, key_columns
from platform_lib.errors import UsageError
from platform_lib.training.config.schema import TrainConfig


def unseen_rows(
    table: pd.DataFrame, held_out: NDArray[np.bool_], config: TrainConfig, champion: TrainConfig | None
) -> NDArray[np.bool_] | None:
    """The held-out rows that the champion held out as well.

    Args:
        table: All n rows.
        held_out: Shape (n,), of this training.
        config: Of this training.
        champion: The champion's configuration; None if it is not known.
    Returns:
        Shape (number of held-out rows,); None if both hold out the same rows, or the champion's cannot be known.
    """
    if champion is None or champion.data.name != config.data.name or _rule(champion) == _rule(config):
        return None
    split = champion.split
    try:
        theirs = held_out_by(
            table,
            champion.data,
            method=split.method,
            test_share=split.test_share,
            column=split.column,
            cutoff=split.cutoff,
            salt=split.salt,
        )
    except UsageError:  # a column of its key is gone
        return None
    return theirs[held_out]


def _rule(config: TrainConfig) -> tuple[object, ...]:
    """What decides on a row's side."""
    split, data = config.split, config.data
    if split.method == "hash":
        return (msgspec.structs.replace(split, column=None, cutoff=None), key_columns(data), data.repeats)
    return (split, data.time)
