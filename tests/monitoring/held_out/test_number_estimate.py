"""The estimated score of a regression, against truths that these tests know."""

from functools import cache

import numpy as np
import pytest

from platform_lib.metrics import score
from platform_lib.model.artifact import Predictions
from platform_lib.monitoring.held_out.number_estimate import ErrorModel, learn_errors

METRICS = ("mae", "rmse", "r2", "medae")


def rows_of(dice: np.random.Generator, count: int, mean: float, *, bias: float = 0.0) -> tuple[np.ndarray, ...]:
    """Rows, predictions and truths: the model is right on average, and errs three times more where x is large."""
    x = np.column_stack([dice.normal(mean, 1, count), dice.normal(size=count)])
    predictions = 3 * x[:, 0] + x[:, 1]
    truth = predictions + dice.normal(size=count) * np.where(x[:, 0] > 1, 3.0, 1.0) - bias
    return x, predictions, truth


@cache
def learned(seed: int) -> ErrorModel:
    found = learn_errors(*rows_of(np.random.default_rng(1000 + seed), 2000, 0.0))
    assert found is not None
    return found


@pytest.mark.parametrize("mean", [0.0, 1.0])
@pytest.mark.parametrize("metric", METRICS)
def test_it_follows_a_shift_of_the_inputs_within_its_stated_error(metric: str, mean: float) -> None:
    misses, actual = 0, []
    for seed in range(8):
        x, predictions, truth = rows_of(np.random.default_rng(seed), 1000, mean)
        found = learned(seed).estimated_score(metric, x, predictions)
        assert found is not None
        actual.append(score(metric, truth, Predictions(predictions, None)))
        misses += abs(found[0] - actual[-1]) > 2 * found[1]
    assert misses <= 2
    if metric == "mae":  # the shift matters
        assert np.mean(actual) == pytest.approx(1.05 if mean == 0 else 1.6, abs=0.1)


def test_a_changed_meaning_is_invisible_to_it() -> None:
    dice = np.random.default_rng(0)
    errors = learned(0)
    x, predictions, truth = rows_of(dice, 2000, 0.0, bias=5.0)
    found = errors.estimated_score("mae", x, predictions)
    assert found is not None
    assert found[0] == pytest.approx(1.05, abs=0.1)
    assert score("mae", truth, Predictions(predictions, None)) > 4


def test_missing_features_and_predictions_do_no_harm() -> None:
    dice = np.random.default_rng(0)
    x, predictions, truth = rows_of(dice, 500, 0.0)
    x[::3, 1] = np.nan
    predictions[0] = truth[1] = np.nan
    errors = learn_errors(x, predictions, truth)
    assert errors is not None
    found = errors.estimated_score("mae", x, predictions)
    assert found is not None and 0.8 < found[0] < 2


def test_few_held_out_rows_give_no_estimate() -> None:
    assert learn_errors(*rows_of(np.random.default_rng(0), 49, 0.0)) is None


def test_a_score_that_is_undefined_is_not_estimated() -> None:
    errors = learned(0)
    assert errors.estimated_score("mae", np.zeros((10, 2)), np.full(10, np.nan)) is None
