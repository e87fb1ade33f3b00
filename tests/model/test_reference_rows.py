"""Held-out rows as a training stores them: bounded, without private columns, and back as logged."""

import msgspec
import numpy as np
import pandas as pd

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import Predictions
from platform_lib.model.reference_rows import MOST_ROWS, ReferenceRows, build_reference_rows, chosen_rows
from platform_lib.monitoring.held_out.reference import reference_of


def contract(*, target: Column) -> DataContract:
    columns = {
        "count": Column(type="integer"),
        "version": Column(type="string"),
        "seen": Column(type="datetime"),
        "is_new": Column(type="boolean"),
        "diagnosis": Column(type="string", sensitive=True),
        "unlogged": Column(type="number", log=False),
        "y": target,
    }
    return DataContract(name="t", path="data/t.parquet", task="regression", target="y", columns=columns)


RAW = {
    "count": [1, None],
    "version": ["a", None],
    "seen": ["2026-01-02T03:04:05", None],
    "is_new": [True, None],
    "diagnosis": ["hidden-1", "hidden-2"],
    "unlogged": [7.25, 8.25],
}


def stored(target: Column) -> str:
    rows = build_reference_rows(
        feature_frame(RAW, contract(target=target)),
        Predictions(np.array([1.5, 2.5]), None),
        np.array([1.0, 2.0]),
        contract(target=target),
    )
    return msgspec.json.encode(rows).decode()


def test_rows_come_back_as_the_request_log_holds_them_and_private_columns_are_left_out() -> None:
    text = stored(Column(type="number"))
    assert "hidden" not in text and "7.25" not in text
    found = reference_of(msgspec.json.decode(text, type=ReferenceRows), contract(target=Column(type="number")))
    assert found.table.to_pydict() == {
        "count": [1, None],
        "feature_version": ["a", None],
        "seen": ["2026-01-02T03:04:05", None],
        "is_new": [True, None],
        "prediction": [1.5, 2.5],
    }
    assert found.truth is not None and found.truth.tolist() == [1.0, 2.0]


def test_a_private_target_is_not_stored() -> None:
    found = msgspec.json.decode(stored(Column(type="number", sensitive=True)), type=ReferenceRows)
    assert found.truth is None


def test_a_class_is_stored_as_text_without_its_truth() -> None:
    by_class = msgspec.structs.replace(contract(target=Column(type="integer")), task="classification")
    frame = pd.DataFrame(feature_frame(RAW, by_class))
    found = build_reference_rows(frame, Predictions(np.array([1, 0]), None, (0, 1)), np.array([1, 1]), by_class)
    assert (found.predictions, found.truth) == (["1", "0"], None)


def test_the_number_of_rows_is_bounded_and_smaller_for_wide_tables() -> None:
    assert chosen_rows(30, 4).tolist() == list(range(30))
    assert len(chosen_rows(100_000, 4)) == MOST_ROWS == len(set(chosen_rows(100_000, 4)))
    assert len(chosen_rows(100_000, 2_000)) == 250
