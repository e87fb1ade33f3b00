"""The reference profile: shares sum to one, row order is irrelevant, every live value has one bin."""

import json
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import Predictions
from platform_lib.model.profile import Bins, bin_of, build_profile, column_bins, parse_profile

CONTRACT = DataContract(
    name="t",
    path="t.csv",
    task="classification",
    target="y",
    columns={
        "amount": Column(type="number", nullable=True),
        "count": Column(type="integer"),
        "member": Column(type="boolean", nullable=True),
        "city": Column(type="string", nullable=True),
        "day": Column(type="datetime", nullable=True),
        "empty": Column(type="number", nullable=True),
        "y": Column(type="string"),
    },
)


def _frame(rows: int = 200) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "amount": np.where(np.arange(rows) % 10 == 0, np.nan, generator.normal(size=rows)),
            "count": generator.integers(0, 3, rows),
            "member": [None if i % 20 == 0 else i % 2 == 0 for i in range(rows)],
            "city": [None if i % 25 == 0 else f"city {i % 30}" for i in range(rows)],
            "day": pd.Series(pd.date_range("2026-01-01", periods=rows)).where(np.arange(rows) % 50 != 0),
            "empty": [None] * rows,
        }
    )
    return feature_frame(table, CONTRACT)


def _answers(rows: int = 200) -> Predictions:
    return Predictions(np.array(["a" if i % 4 else "b" for i in range(rows)], dtype=object), None, ("a", "b", "c"))


def test_shares_are_non_negative_sum_to_one_and_end_with_missing() -> None:
    profile = parse_profile(build_profile(_frame(), _answers(), CONTRACT))
    for bins in [*profile.features.values(), profile.prediction]:
        assert min(bins.shares) >= 0
        assert sum(bins.shares) == pytest.approx(1.0, abs=1e-12)
        assert len(bins.labels) == len(bins.shares)
    assert {name: bins.shares[-1] for name, bins in profile.features.items()} == {
        "amount": 0.1, "count": 0.0, "member": 0.05, "city": 0.04, "day": 0.02, "empty": 1.0,
    }  # fmt: skip


def test_the_profile_survives_a_json_round_trip() -> None:
    values = build_profile(_frame(), _answers(), CONTRACT)
    assert parse_profile(json.loads(json.dumps(values, allow_nan=False))) == parse_profile(values)


def test_the_order_of_rows_does_not_matter() -> None:
    frame, answers = _frame(), _answers()
    order = np.random.default_rng(1).permutation(len(frame))
    shuffled = Predictions(answers.values[order], None, answers.classes)
    assert build_profile(frame.iloc[order], shuffled, CONTRACT) == build_profile(frame, answers, CONTRACT)


def test_counting_the_reference_rows_again_gives_their_shares() -> None:
    frame = _frame()
    profile = parse_profile(build_profile(frame, _answers(), CONTRACT))
    for name, bins in profile.features.items():
        counted = np.bincount([bin_of(bins, value) for value in frame[name]], minlength=len(bins.shares)) / len(frame)
        assert counted.tolist() == pytest.approx(bins.shares), name


def test_a_class_that_is_never_predicted_has_a_share_of_zero() -> None:
    prediction = parse_profile(build_profile(_frame(), _answers(), CONTRACT)).prediction
    assert dict(zip(prediction.labels, prediction.shares, strict=True)) == {
        "a": 0.75,
        "b": 0.25,
        "c": 0.0,
        "other": 0.0,
        "missing": 0.0,
    }


def test_numeric_predictions_are_binned_as_numbers() -> None:
    prediction = parse_profile(build_profile(_frame(), Predictions(np.arange(200.0), None), CONTRACT)).prediction
    assert prediction.kind == "number"
    assert prediction.shares == pytest.approx([0.0, *[0.1] * 10, 0.0, 0.0], abs=0.006)


NUMBERS = Bins(kind="number", edges=[1.0, 2.0, 5.0], shares=[0.0, 0.5, 0.5, 0.0, 0.0])
TIMES = Bins(kind="time", edges=[86400.0], shares=[0.5, 0.5, 0.0])
BOOLEANS = Bins(kind="boolean", values=["false", "true"], shares=[0.5, 0.5, 0.0, 0.0])
CITIES = Bins(kind="category", values=["Rome", "1"], shares=[0.5, 0.5, 0.0, 0.0])


@pytest.mark.parametrize(
    ("bins", "value", "expected"),
    [
        pytest.param(NUMBERS, 0.999, "< 1", id="below"),
        pytest.param(NUMBERS, 1.0, "[1, 2)", id="at-the-first-edge"),
        pytest.param(NUMBERS, 2.0, "[2, 5)", id="at-an-edge"),
        pytest.param(NUMBERS, 4.999, "[2, 5)", id="inside"),
        pytest.param(NUMBERS, 5.0, ">= 5", id="at-the-last-edge"),
        pytest.param(NUMBERS, 1e300, ">= 5", id="above"),
        pytest.param(NUMBERS, np.nan, "missing", id="nan"),
        pytest.param(NUMBERS, None, "missing", id="none"),
        pytest.param(NUMBERS, 3, "[2, 5)", id="integer"),
        pytest.param(TIMES, np.datetime64("1970-01-01"), "< 1970-01-02T00:00:00", id="time-below"),
        pytest.param(TIMES, datetime(1970, 1, 2), ">= 1970-01-02T00:00:00", id="time-equal"),
        pytest.param(TIMES, "1970-01-02T00:00:01", ">= 1970-01-02T00:00:00", id="time-as-text"),
        pytest.param(TIMES, pd.Timestamp("1970-01-01 23:59:59"), "< 1970-01-02T00:00:00", id="timestamp"),
        pytest.param(TIMES, np.datetime64("NaT"), "missing", id="nat"),
        pytest.param(BOOLEANS, True, "true", id="true"),
        pytest.param(BOOLEANS, 0.0, "false", id="zero-of-the-typed-frame"),
        pytest.param(BOOLEANS, np.float64(1.0), "true", id="numpy-one"),
        pytest.param(BOOLEANS, 0.5, "other", id="neither"),
        pytest.param(CITIES, "Rome", "Rome", id="known"),
        pytest.param(CITIES, "Pisa", "other", id="unknown"),
        pytest.param(CITIES, "", "other", id="empty-text"),
        pytest.param(CITIES, 1, "1", id="whole-number"),
        pytest.param(CITIES, np.nan, "missing", id="missing-text"),
    ],
)
def test_a_live_value_has_one_bin(bins: Bins, value: Any, expected: str) -> None:
    assert bins.labels[bin_of(bins, value)] == expected


@pytest.mark.parametrize("value", [-1.0, 3.0, 7.5], ids=["below", "equal", "above"])
def test_a_constant_column_detects_a_change_in_either_direction(value: float) -> None:
    bins = column_bins(pd.Series([3.0] * 50))
    assert (bins.shares[bin_of(bins, value)] == 1.0) == (value == 3.0)


def test_the_rarest_of_many_categories_are_counted_as_other() -> None:
    bins = column_bins(pd.Series([f"c{i:02}" for i in range(25)] * 2 + ["c24"], dtype=object))
    assert bins.values[0] == "c24"
    assert bins.shares[-2] == pytest.approx(10 / 51)
    assert len(bins.values) == 20
