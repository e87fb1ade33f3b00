"""The table and its contract. Yours to change."""

import pandas as pd
from platform_lib.project import TrainConfig, target_values


def test_the_table_fits_its_contract(table: pd.DataFrame, config: TrainConfig) -> None:
    assert list(table.columns) == list(config.data.columns)
    assert len(table) > 0


def test_there_is_more_than_one_value_to_predict(table: pd.DataFrame, config: TrainConfig) -> None:
    assert len(set(target_values(table, config.data))) > 1
