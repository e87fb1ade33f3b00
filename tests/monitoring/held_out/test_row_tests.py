"""Tests of one column on rows: equal to SciPy's on the values, with the false discovery rate controlled."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from platform_lib.model.profile import column_bins
from platform_lib.monitoring.held_out.row_tests import RowTest, row_test, with_corrected_p_values


def as_column(values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def test_numbers_are_tested_on_their_values_without_missing_ones() -> None:
    dice = np.random.default_rng(0)
    reference, live = dice.normal(0, 1, 500), dice.normal(0.3, 2, 800)
    found = row_test(column_bins(pd.Series(reference)), as_column([*reference, None]), as_column([None, *live]))
    assert found is not None and found.test == "Kolmogorov-Smirnov"
    assert found.effect == pytest.approx(ks_2samp(reference, live).statistic)
    assert found.p_value == pytest.approx(ks_2samp(reference, live, method="asymp").pvalue)
    assert found.wasserstein == pytest.approx(wasserstein_distance(reference, live))
    assert (found.live_rows, found.reference_rows) == (800, 500)


def test_times_are_moved_by_seconds() -> None:
    reference = pd.Series(pd.date_range("2026-01-01", periods=50, freq="h"))
    live = (reference + pd.Timedelta("1D")).dt.strftime("%Y-%m-%dT%H:%M:%S")
    found = row_test(column_bins(reference), as_column(reference.dt.strftime("%Y-%m-%dT%H:%M:%S")), as_column(live))
    assert found is not None
    assert found.wasserstein == pytest.approx(86_400)


def test_categories_are_counted_with_unknown_and_missing_ones() -> None:
    reference, live = ["a"] * 60 + ["b"] * 40, ["a"] * 20 + ["b"] * 40 + ["new"] * 30 + [None] * 10
    found = row_test(column_bins(pd.Series(reference, dtype=object)), as_column(reference), as_column(live))
    assert found is not None and found.test == "chi-square" and found.wasserstein is None
    expected = chi2_contingency([[60, 40, 0, 0], [20, 40, 30, 10]], correction=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.effect == pytest.approx(np.sqrt(expected.statistic / 200))


def test_a_column_with_one_value_on_both_sides_is_the_same() -> None:
    found = row_test(column_bins(pd.Series(["a"] * 30, dtype=object)), as_column(["a"] * 30), as_column(["a"] * 30))
    assert found is not None and (found.effect, found.p_value) == (0.0, 1.0)


def test_few_values_are_not_tested() -> None:
    numbers = np.arange(30.0)
    assert row_test(column_bins(pd.Series(numbers)), as_column(numbers), as_column([*numbers[:19], None, None])) is None


def test_text_in_a_column_of_numbers_is_missing() -> None:
    numbers = np.arange(30.0)
    live = as_column([*[str(value) for value in numbers], "n/a"])
    found = row_test(column_bins(pd.Series(numbers)), as_column(numbers), live)
    assert found is not None and (found.effect, found.live_rows) == (0.0, 30)


def test_the_false_discovery_rate_of_all_columns_is_controlled() -> None:
    def with_p(value: float) -> RowTest:
        return RowTest(test="chi-square", effect=0, p_value=value, wasserstein=None, live_rows=30, reference_rows=30)

    found = with_corrected_p_values([with_p(0.04), None, with_p(0.01), with_p(0.03)])
    assert found[1] is None
    assert [test.p_value for test in found if test] == pytest.approx([0.04, 0.03, 0.04])
    assert with_corrected_p_values([None]) == [None]
