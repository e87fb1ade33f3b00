"""Constant predictions: what a model has to beat."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, log_loss

from platform_lib.training.baselines import constant_predictions, constant_scores

FITTED = np.array(["no"] * 90 + ["yes"] * 10, dtype=object)
HELD_OUT = np.array(["no"] * 17 + ["yes"] * 3, dtype=object)


def test_a_class_is_predicted_as_scikit_learns_dummy_does() -> None:
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((100, 1)), FITTED)
    shares = dummy.predict_proba(np.zeros((20, 1)))
    scores = constant_scores(FITTED, HELD_OUT, "classification")

    assert scores["accuracy"] == accuracy_score(HELD_OUT, dummy.predict(np.zeros((20, 1))))
    assert scores["log_loss"] == pytest.approx(log_loss(HELD_OUT, shares))
    assert (scores["balanced_accuracy"], scores["roc_auc"]) == (0.5, 0.5)


@pytest.mark.parametrize("labels", [[True, False, False], [3, 5, 5]])
def test_labels_keep_their_type(labels: list[object]) -> None:
    (constant,) = constant_predictions(np.array(labels), 2, "classification")

    assert constant.values.tolist() == [labels[1]] * 2
    assert set(constant.classes) == set(labels)


def test_a_number_gets_the_better_of_mean_and_median() -> None:
    fitted = np.array([0.0, 0.0, 0.0, 10.0])
    scores = constant_scores(fitted, np.array([0.0, 0.0, 10.0]), "regression")

    assert scores["mae"] == pytest.approx(10 / 3)  # of the median, 0
    assert scores["rmse"] == pytest.approx(np.sqrt((2 * 2.5**2 + 7.5**2) / 3))  # of the mean, 2.5


def test_a_metric_that_is_undefined_is_left_out() -> None:
    scores = constant_scores(FITTED, np.array(["no", "maybe"], dtype=object), "classification")

    assert (scores["accuracy"], "log_loss" in scores) == (0.5, False)
