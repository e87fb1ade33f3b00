"""The drift of one column: the index, its windows, and what chance explains."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from platform_lib.model.profile import Bins, column_bins
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.drift import ColumnDrift, column_drift, corrected, psi

CONFIG = MonitorConfig(min_rows=100)
SHARES = st.lists(st.integers(0, 50), min_size=2, max_size=12).filter(any)


def counted(bins: Bins, *windows: pd.Series) -> np.ndarray:
    from platform_lib.model.profile import bin_of

    rows = [np.bincount([bin_of(bins, value) for value in window], minlength=len(bins.shares)) for window in windows]
    return np.array(rows)


def drift_of(reference: pd.Series, *windows: pd.Series, config: MonitorConfig = CONFIG) -> ColumnDrift:
    bins = column_bins(reference)
    return column_drift("x", bins, counted(bins, *windows), len(reference), config)


def test_the_index_of_a_known_example() -> None:
    # Two bins, 50/50 against 60/40: 0.1 ln(1.2) + 0.1 ln(1.25)
    assert psi(np.array([0.6, 0.4]), np.array([0.5, 0.5])) == pytest.approx(0.1 * np.log(1.2) + 0.1 * np.log(1.25))


@given(SHARES, st.randoms())
def test_the_index_is_symmetric_nonnegative_and_zero_for_equal_shares(counts: list[int], dice: object) -> None:
    p = np.array(counts) / sum(counts)
    q = p[::-1].copy()
    assert psi(p, p) == 0
    assert psi(p, q) >= 0
    assert psi(p, q) == pytest.approx(psi(q, p))


def test_a_shift_is_drift_from_the_window_in_which_it_begins() -> None:
    dice = np.random.default_rng(0)
    same = [pd.Series(dice.normal(0, 1, 500)) for _ in range(3)]
    shifted = [pd.Series(dice.normal(1, 1, 500)) for _ in range(2)]
    found = drift_of(pd.Series(dice.normal(0, 1, 5000)), *same, *shifted)
    assert found.drifted
    assert found.since == 3
    assert found.p_value < 1e-6
    assert [value is not None and value > found.limit for value in found.windows] == [False] * 3 + [True] * 2


@pytest.mark.parametrize("over", [[False, True, False], [True, True, False], [False, False, True]])
def test_a_single_window_or_one_that_is_over_is_no_drift(over: list[bool]) -> None:
    dice = np.random.default_rng(1)
    windows = [pd.Series(dice.normal(2.0 * is_over, 1, 400)) for is_over in over]
    assert not drift_of(pd.Series(dice.normal(0, 1, 4000)), *windows).drifted


def test_the_same_distribution_is_drift_in_no_seed() -> None:
    for seed in range(50):
        dice = np.random.default_rng(seed)
        windows = [pd.Series(dice.exponential(1, 500)) for _ in range(4)]
        found = drift_of(pd.Series(dice.exponential(1, 2000)), *windows)
        assert not found.drifted
        assert found.psi < 0.1


def test_windows_with_few_rows_are_not_judged() -> None:
    reference = pd.Series(np.arange(1000.0))
    found = drift_of(reference, reference, pd.Series([5000.0] * 99))
    assert found.windows[1] is None
    assert not found.drifted


def test_missing_and_unseen_values_are_counted() -> None:
    numbers = drift_of(pd.Series([1.0, 2.0, 3.0, None]), pd.Series([0.0, 2.0, 9.0, None, None]))
    assert (numbers.missing, numbers.missing_reference) == (0.4, 0.25)
    assert (numbers.outside, numbers.outside_reference) == (0.4, 0.0)
    texts = drift_of(pd.Series(["a", "b"], dtype=object), pd.Series(["a", "new", "new", None], dtype=object))
    assert (texts.outside, texts.missing) == (0.5, 0.25)
    assert texts.ks is None


def test_the_gap_at_the_edges_is_at_most_the_statistic_of_kolmogorov_and_smirnov() -> None:
    dice = np.random.default_rng(2)
    reference, live = dice.normal(0, 1, 3000), dice.normal(0.5, 1, 1000)
    found = drift_of(pd.Series(reference), pd.Series(live))
    exact = ks_2samp(reference, live).statistic
    assert found.ks is not None
    assert 0.8 * exact < found.ks <= exact + 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrected_p_values_keep_their_order_and_never_fall(p_values: list[float]) -> None:
    found = corrected(p_values)
    assert all(new >= old for new, old in zip(found, p_values, strict=True))
    assert max(found) <= 1
    smallest = min(p_values)
    assert found[p_values.index(smallest)] == pytest.approx(min(1.0, smallest * len(p_values)))
