"""Bins computed from the request log are those that the server counts into."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_lib.model.profile import Bins, bin_of, column_bins
from platform_lib.monitoring.binning import bin_indices, window_counts

NUMBERS = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 5).map(float))
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", " a", "rare", "", "new"]), st.text(max_size=3))


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_numbers_fall_into_the_bins_of_the_server(values: list[float | None], reference: list[float]) -> None:
    bins = column_bins(pd.Series(reference, dtype=float))
    found = bin_indices(bins, pa.chunked_array([pa.array(values, pa.float64())]))
    assert found.tolist() == [bin_of(bins, value) for value in values]


@given(st.lists(TEXTS, min_size=1, max_size=60))
def test_texts_fall_into_the_bins_of_the_server(values: list[str | None]) -> None:
    bins = column_bins(pd.Series(["a", "a", "b", None, "c"], dtype=object))
    found = bin_indices(bins, pa.chunked_array([pa.array(values, pa.string())]))
    assert found.tolist() == [bin_of(bins, (value or "").strip() or None) for value in values]


@given(st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=20))
def test_booleans_fall_into_the_bins_of_the_server(values: list[bool | None]) -> None:
    bins = column_bins(pd.Series([0.0, 1.0, 1.0, np.nan]), is_boolean=True)
    found = bin_indices(bins, pa.chunked_array([pa.array(values, pa.bool_())]))
    assert found.tolist() == [bin_of(bins, value) for value in values]


def test_times_fall_into_the_bins_of_the_server() -> None:
    bins = column_bins(pd.Series(pd.date_range("2026-01-01", periods=30, tz="UTC")))
    values = ["2025-12-31T00:00:00", "2026-01-15T12:00:00+00:00", "2027-01-01", None]
    found = bin_indices(bins, pa.chunked_array([pa.array(values, pa.string())]))
    assert found.tolist() == [bin_of(bins, value) for value in values]


def test_text_in_a_column_of_numbers_is_missing() -> None:
    bins = Bins(kind="number", edges=[1.0, 2.0], shares=[0.0, 1.0, 0.0, 0.0])
    found = bin_indices(bins, pa.chunked_array([pa.array(["1.5", "much", None])]))
    assert found.tolist() == [1, 3, 3]


@pytest.mark.parametrize("chunks", [1, 3])
def test_chunks_do_not_matter(chunks: int) -> None:
    bins = column_bins(pd.Series(["a", "b", "a"], dtype=object))
    column = pa.chunked_array([pa.array(["a", "b", None])] * chunks)
    assert bin_indices(bins, column).tolist() == [0, 1, 3] * chunks


def test_rows_before_the_first_window_are_not_counted() -> None:
    bins = Bins(kind="number", edges=[1.0], shares=[0.5, 0.5, 0.0])
    counts = window_counts(bins, np.array([0, 1, 1, 2]), np.array([0, -1, 1, 1]), 2)
    assert counts.tolist() == [[1, 0, 0], [0, 1, 1]]
