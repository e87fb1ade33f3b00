"""A champion is compared only on rows that it was not fitted on."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.splits import holdout_mask
from platform_lib.training.config.schema import GateConfig, ModelConfig, SplitConfig, TrainConfig
from platform_lib.training.steps import split_rows
from platform_lib.training.unseen_rows import unseen_rows

CONTRACT = DataContract(
    name="visits",
    path="data/visits.csv",
    task="classification",
    target="y",
    key=["x"],
    columns={
        "x": Column(type="number"),
        "person": Column(type="string"),
        "at": Column(type="datetime"),
        "y": Column(type="string"),
    },
)
PLACES = np.arange(400)
TABLE = pd.DataFrame(
    {
        "x": PLACES / 7,
        "person": [f"p{place % 40}" for place in PLACES],
        "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(PLACES, unit="D"),
        "y": np.where(PLACES % 2, "yes", "no"),
    }
).astype({"person": object, "y": object})


def config(contract: DataContract = CONTRACT, **split: Any) -> TrainConfig:
    return TrainConfig(
        data=contract, model=ModelConfig(name="m"), gate=GateConfig(metric="accuracy"), split=SplitConfig(**split)
    )


def unseen(ours: TrainConfig, champion: TrainConfig | None) -> Any:
    return unseen_rows(TABLE, split_rows(TABLE, ours).held_out, ours, champion)


LATE: dict[str, Any] = {"method": "time", "column": "at", "cutoff": "2027-01-01"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (config(**LATE), config()),
        (config(), config(**LATE)),
        (config(**LATE), config(**LATE | {"cutoff": "2027-01-21"})),
        (config(method="group", column="person"), config()),
        (config(salt="b"), config()),
        (config(), config(test_share=0.4)),
        (config(msgspec.structs.replace(CONTRACT, id="person", key=["person"])), config()),
    ],
    ids=["time-after-hash", "hash-after-time", "earlier-cutoff", "group-after-hash", "salt", "share", "key"],
)
def test_only_rows_that_both_held_out_are_compared(ours: TrainConfig, theirs: TrainConfig) -> None:
    split = theirs.split
    mask = holdout_mask(
        TABLE,
        theirs.data,
        method=split.method,
        test_share=split.test_share,
        column=split.column,
        cutoff=split.cutoff,
        salt=split.salt,
    )

    assert unseen(ours, theirs).tolist() == mask[split_rows(TABLE, ours).held_out].tolist()


@pytest.mark.parametrize(
    "champion",
    [
        None,
        config(),
        config(msgspec.structs.replace(CONTRACT, name="another")),
        config(msgspec.structs.replace(CONTRACT, key=["gone"], columns={"gone": Column(type="number")})),
    ],
    ids=["unknown", "same-split", "another-table", "key-is-gone"],
)
def test_every_row_is_compared_where_both_hold_out_the_same_or_it_is_not_known(champion: TrainConfig | None) -> None:
    assert unseen(config(), champion) is None
