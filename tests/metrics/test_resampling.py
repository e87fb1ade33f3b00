"""Paired resamples: equal to scikit-learn's scores on the drawn rows, and intervals that cover as they say."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error

from platform_lib.metrics.resampling import deviations, interval
from platform_lib.metrics.weighting import draw_weights
from platform_lib.model.artifact import Predictions


def _classes(generator: np.random.Generator, rows: int, wrong: float) -> tuple[np.ndarray, Predictions]:
    truth = np.where(generator.random(rows) < 0.3, "yes", "no").astype(object)
    given = np.where(generator.random(rows) < wrong, np.where(truth == "yes", "no", "yes"), truth)
    return truth, Predictions(given, None, ("no", "yes"))


def test_each_resample_is_of_the_same_rows_for_all_models() -> None:
    generator = np.random.default_rng(1)
    truth, one = _classes(generator, 80, 0.1)
    other = Predictions(np.where(generator.random(80) < 0.2, "no", one.values), None, one.classes)

    found = deviations(["balanced_accuracy"], truth, [one, other], samples=20, seed=5)["balanced_accuracy"]

    drawing = np.random.default_rng(5)
    for number in range(20):
        rows = np.repeat(np.arange(80), draw_weights(drawing, 80).astype(int))
        for place, model in enumerate((one, other)):
            whole = balanced_accuracy_score(truth.astype(str), model.values.astype(str))
            drawn = balanced_accuracy_score(truth[rows].astype(str), model.values[rows].astype(str))
            assert found[place, number] == pytest.approx(drawn - whole, abs=1e-12)


def test_many_rows_are_sampled_and_the_spread_is_that_of_all_of_them() -> None:
    generator = np.random.default_rng(2)
    truth = generator.normal(size=40_000)
    model = Predictions(truth + generator.normal(size=40_000), None)

    found = deviations(["mae"], truth, [model], samples=300)["mae"]

    errors = np.abs(model.values - truth)
    assert found.std() == pytest.approx(errors.std() / 200, rel=0.15)
    value = mean_absolute_error(truth, model.values)
    low, high = interval(value, found[0]) or (0, 0)
    assert low < value < high


def test_a_metric_that_is_undefined_for_a_model_has_no_interval() -> None:
    truth, model = _classes(np.random.default_rng(3), 50, 0.1)

    found = deviations(["roc_auc", "accuracy"], truth, [model], samples=10)

    assert interval(0.5, found["roc_auc"][0]) is None
    assert interval(0.9, found["accuracy"][0]) is not None
