"""Diagnostics of a regression equal numpy's and scikit-learn's on the same rows."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import sem
from sklearn.metrics import max_error, median_absolute_error

from platform_lib.data.contract import Column
from platform_lib.metrics import take
from platform_lib.training.diagnostics.held_out import NotComputable
from platform_lib.training.diagnostics.numbers import number_tables
from tests.training.diagnostics.tables_of_rows import Fitted, numbers

ROUNDING = 1e-5


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return numbers()


def test_error_quantiles_agree_with_scikit_learns_median_and_maximum(fitted: Fitted) -> None:
    rows = fitted.rows

    found = number_tables(rows)

    median = median_absolute_error(rows.truth, rows.predictions.values)
    assert found.error_quantiles["0.5"] == pytest.approx(median, rel=ROUNDING)
    assert found.error_quantiles["1"] == pytest.approx(max_error(rows.truth, rows.predictions.values), rel=ROUNDING)
    assert list(found.error_quantiles.values()) == sorted(found.error_quantiles.values())
    residuals = rows.predictions.values - rows.truth
    assert found.bias == pytest.approx(float(residuals.mean()), rel=ROUNDING)
    half = 1.96 * sem(residuals)
    assert found.bias_interval.low == pytest.approx(residuals.mean() - half, rel=1e-3)
    assert found.bias_interval.high == pytest.approx(residuals.mean() + half, rel=1e-3)


def test_every_row_is_in_the_histogram_and_in_a_bin(fitted: Fitted) -> None:
    found = number_tables(fitted.rows)

    histogram = found.residuals
    assert sum(histogram.counts) + histogram.below + histogram.above == len(fitted.rows)
    assert len(histogram.edges) == len(histogram.counts) + 1
    assert sum(part.rows for part in found.by_prediction) == len(fitted.rows)
    predicted = [part.predicted for part in found.by_prediction]
    assert predicted == sorted(predicted)


def test_a_bias_at_high_predictions_shows_in_their_bin(fitted: Fitted) -> None:
    predicted = fitted.rows.predictions.values
    high = predicted > np.quantile(predicted, 0.9)
    rows = dataclasses.replace(fitted.rows, truth=np.where(high, fitted.rows.truth - 2, fitted.rows.truth))

    found = number_tables(rows)

    assert found.by_prediction[-1].interval.low > 1
    assert all(part.interval.low < 0.2 for part in found.by_prediction[:-1])


def test_a_private_target_has_no_points(fitted: Fitted) -> None:
    hidden = numbers(target=Column(type="number", log=False))

    assert number_tables(hidden.rows).scatter is None
    assert number_tables(fitted.rows).scatter is not None


def test_permuted_rows_give_the_same_tables(fitted: Fitted) -> None:
    order = np.random.default_rng(5).permutation(len(fitted.rows))
    rows = dataclasses.replace(
        fitted.rows, truth=fitted.rows.truth[order], predictions=take(fitted.rows.predictions, order)
    )

    assert number_tables(rows) == number_tables(fitted.rows)


def test_a_prediction_that_is_not_finite_is_named(fitted: Fitted) -> None:
    values = fitted.rows.predictions.values.copy()
    values[3] = np.inf
    rows = dataclasses.replace(fitted.rows, predictions=dataclasses.replace(fitted.rows.predictions, values=values))

    with pytest.raises(NotComputable, match="1 residuals are not finite"):
        number_tables(rows)
