"""Metrics equal scikit-learn's, also under bootstrap row weights, or explain why there is none."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from numpy.typing import NDArray

from platform_lib.errors import UsageError
from platform_lib.metrics import METRICS, metric_named, score, standard_error, weighted_score
from platform_lib.metrics.configured import COST, PINBALL
from platform_lib.metrics.weighting import MetricUndefined, draw_weights
from platform_lib.model.artifact import Predictions
from tests.conftest import REPOSITORY

LABELS = ("cat", "dog", "owl")


def _classified(rows: int, classes: int, *, tied: bool = False) -> tuple[NDArray[Any], Predictions]:
    generator = np.random.default_rng(classes)
    codes = generator.integers(0, classes, rows)
    raw = generator.random((rows, classes)) + 0.7 * np.eye(classes)[codes]
    raw = np.round(raw * 4) + 1 if tied else raw
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    labels = np.array(LABELS[:classes], dtype=object)
    return labels[codes], Predictions(labels[probabilities.argmax(axis=1)], probabilities, LABELS[:classes])


def _numbers(rows: int) -> tuple[NDArray[Any], Predictions]:
    generator = np.random.default_rng(3)
    truth = generator.normal(5, 1, rows)
    return truth, Predictions(truth + generator.normal(0, 0.4, rows), None)


def _second(p: Predictions) -> NDArray[np.float64]:
    assert p.probabilities is not None
    return p.probabilities[:, 1]


EXPECTED: dict[str, Callable[[Any, Predictions], float]] = {
    "accuracy": lambda t, p: reference.accuracy_score(t, p.values),
    "balanced_accuracy": lambda t, p: reference.balanced_accuracy_score(t, p.values),
    "f1_macro": lambda t, p: reference.f1_score(t, p.values, average="macro"),
    "f1": lambda t, p: reference.f1_score(t, p.values, pos_label="dog"),
    "precision": lambda t, p: reference.precision_score(t, p.values, pos_label="dog"),
    "recall": lambda t, p: reference.recall_score(t, p.values, pos_label="dog"),
    "mcc": lambda t, p: reference.matthews_corrcoef(t, p.values),
    "roc_auc": lambda t, p: (
        reference.roc_auc_score(t == p.classes[1], _second(p))
        if len(p.classes) == 2
        else reference.roc_auc_score(t, p.probabilities, multi_class="ovr", average="macro", labels=list(p.classes))
    ),
    "average_precision": lambda t, p: reference.average_precision_score(t == p.classes[1], _second(p)),
    "log_loss": lambda t, p: reference.log_loss(t, p.probabilities, labels=list(p.classes)),
    "log_loss_skill": lambda t, p: (
        1
        - reference.log_loss(t, p.probabilities, labels=list(p.classes))
        / reference.log_loss(t, [[np.mean(t == c) for c in p.classes]] * len(t), labels=list(p.classes))
    ),
    "brier": lambda t, p: (
        reference.brier_score_loss(t == p.classes[1], _second(p))
        if len(p.classes) == 2
        else float(np.mean(((p.probabilities - (t[:, None] == np.array(p.classes, dtype=object))) ** 2).sum(axis=1)))
    ),
    "r2": lambda t, p: reference.r2_score(t, p.values),
    "mae": lambda t, p: reference.mean_absolute_error(t, p.values),
    "rmse": lambda t, p: reference.root_mean_squared_error(t, p.values),
    "medae": lambda t, p: reference.median_absolute_error(t, p.values),
    "mape": lambda t, p: reference.mean_absolute_percentage_error(t, p.values),
}

FOR_TWO_CLASSES = ("average_precision", "f1", "precision", "recall")

CASES = [
    pytest.param(name, rows, classes, tied, id=f"{name}-{classes}{'-tied' if tied else ''}-{rows}")
    for name, metric in METRICS.items()
    for rows in (41, 80)
    for classes, tied in (
        ((2, False), (2, True), (3, False), (3, True)) if metric.task == "classification" else ((0, False),)
    )
    if not (name in FOR_TWO_CLASSES and classes == 3)
]


def _case(rows: int, classes: int, *, tied: bool) -> tuple[NDArray[Any], Predictions]:
    return _classified(rows, classes, tied=tied) if classes else _numbers(rows)


@pytest.mark.parametrize("name", METRICS)
def test_a_metrics_docstring_gives_range_unit_direction_and_source(name: str) -> None:
    text = " ".join((METRICS[name].prepare.__doc__ or "").split())
    found = re.search(r"Range: .+?\. Unit: .+?\. (Higher|Lower) is better\. Source: `sklearn\.metrics\.(\w+)", text)
    assert found is not None
    assert (found[1] == "Higher") == METRICS[name].greater_is_better
    assert hasattr(reference, found[2])


def test_every_metric_has_a_reference() -> None:
    assert set(EXPECTED) == set(METRICS)


@pytest.mark.parametrize(("name", "rows", "classes", "tied"), CASES)
def test_a_score_equals_scikit_learns(name: str, rows: int, classes: int, *, tied: bool) -> None:
    truth, predictions = _case(rows, classes, tied=tied)
    assert score(name, truth, predictions) == pytest.approx(EXPECTED[name](truth, predictions), rel=1e-15)


@pytest.mark.parametrize(("name", "rows", "classes", "tied"), CASES)
def test_row_weights_equal_repeated_rows(name: str, rows: int, classes: int, *, tied: bool) -> None:
    truth, predictions = _case(rows, classes, tied=tied)
    weights = draw_weights(np.random.default_rng(5), rows)
    repeated = np.repeat(np.arange(rows), weights.astype(int))
    again = Predictions(
        predictions.values[repeated],
        None if predictions.probabilities is None else predictions.probabilities[repeated],
        predictions.classes,
    )
    assert weighted_score(name, truth, predictions)(weights) == pytest.approx(
        EXPECTED[name](truth[repeated], again), rel=1e-9
    )


@pytest.mark.parametrize("name", METRICS)
def test_a_better_prediction_scores_better_in_the_metrics_direction(name: str) -> None:
    truth, worse = _classified(60, 2) if METRICS[name].task == "classification" else _numbers(60)
    if METRICS[name].task == "classification":
        sure = np.where((truth == "dog")[:, None], [0.01, 0.99], [0.99, 0.01])
        better = Predictions(truth.copy(), sure, ("cat", "dog"))
    else:
        better = Predictions((worse.values + truth) / 2, None)
    difference = score(name, truth, better) - score(name, truth, worse)
    assert (difference > 0) == METRICS[name].greater_is_better


AB, ABC = np.array(["a", "b"], object), ("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "truth", "predictions", "says"),
    [
        pytest.param("roc_auc", ["a", "a"], Predictions(AB, np.eye(2), ("a", "b")), "one class, 'a'", id="one-class"),
        pytest.param(
            "balanced_accuracy", ["a", "a"], Predictions(AB, None, ("a", "b")), "one class", id="one-class-of-labels"
        ),
        pytest.param(
            "log_loss", ["a", "b"], Predictions(AB, None, ("a", "b")), "no probabilities", id="no-probabilities"
        ),
        pytest.param(
            "brier", ["a", "b"], Predictions(AB, np.full((2, 2), np.nan), ("a", "b")), "not numbers", id="nan"
        ),
        pytest.param(
            "roc_auc", ["a", "c"], Predictions(AB, np.eye(2), ("a", "b")), "training, such as 'c'", id="new-class"
        ),
        pytest.param("roc_auc", ["a", "b"], Predictions(AB, np.eye(3)[:2], ABC), "is of class 'c'", id="absent-class"),
        pytest.param(
            "average_precision", ["a", "b"], Predictions(AB, np.eye(3)[:2], ABC), "two classes", id="three-classes"
        ),
        pytest.param(
            "accuracy",
            [1, 2],
            Predictions(np.array(["1", "2"], object), None, ("1", "2")),
            "type changed",
            id="labels-of-another-type",
        ),
        pytest.param(
            "accuracy",
            ["a", None],
            Predictions(np.array(["a", "a"], object), None, ("a",)),
            "1 labels are missing",
            id="missing-label",
        ),
        pytest.param(
            "r2", [2.0, 2.0], Predictions(np.array([1.0, 2.0]), None), "all 2 true values are 2", id="constant-truth"
        ),
        pytest.param(
            "mae",
            [1.0, 2.0],
            Predictions(np.array([np.nan, np.inf]), None),
            "2 predictions are NaN or infinite",
            id="nan-predictions",
        ),
        pytest.param(
            "mape", [0.0, 2.0], Predictions(np.array([1.0, 2.0]), None), "1 true values are 0", id="zero-truth"
        ),
        pytest.param("mae", [], Predictions(np.array([]), None), "no rows", id="no-rows"),
        pytest.param(
            "mae", [1.0], Predictions(np.array([1.0, 2.0]), None), "1 rows have a truth, but 2", id="other-length"
        ),
    ],
)
def test_an_undefined_metric_gives_a_sentence_instead_of_a_number(
    name: str, truth: list[Any], predictions: Predictions, says: str
) -> None:
    expected = np.array(truth, dtype=float if METRICS[name].task == "regression" else object)
    with warnings.catch_warnings(), pytest.raises(MetricUndefined, match=f"{name} cannot be computed") as caught:
        warnings.simplefilter("error")
        score(name, expected, predictions)
    assert says in str(caught.value)


def test_a_resample_without_a_class_has_no_area() -> None:
    truth, predictions = (
        np.array(["a", "a", "b"], object),
        Predictions(np.array(["a", "a", "b"], object), np.eye(2)[[0, 0, 1]], ("a", "b")),
    )
    assert np.isnan(weighted_score("roc_auc", truth, predictions)(np.array([2.0, 1.0, 0.0])))
    assert np.isnan(weighted_score("average_precision", truth, predictions)(np.array([2.0, 1.0, 0.0])))


@pytest.mark.parametrize("labels", [(False, True), (0, 1), ("no", "yes")], ids=["boolean", "integer", "text"])
def test_labels_of_every_type_are_scored(labels: tuple[Any, Any]) -> None:
    kind = object if isinstance(labels[0], str) else None
    truth, answers = (
        np.array([labels[i] for i in (0, 1, 1, 0)], kind),
        np.array([labels[i] for i in (0, 1, 0, 0)], kind),
    )
    assert score("balanced_accuracy", truth, Predictions(answers, None, labels)) == 0.75


def test_a_score_of_other_predictions_or_classes_is_computed_again() -> None:
    truth = np.array(["no", "yes", "no", "yes"], dtype=object)
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    values = np.array(["no", "yes", "no", "no"], dtype=object)
    assert score("accuracy", truth, Predictions(values, shares, ("no", "yes"))) == 0.75
    assert score("accuracy", truth, Predictions(truth, shares, ("no", "yes"))) == 1.0
    assert score("accuracy", values, Predictions(truth, shares, ("no", "yes"))) == 0.75
    assert score("roc_auc", truth, Predictions(values, shares, ("no", "yes"))) == 1.0
    assert score("roc_auc", truth, Predictions(values, shares, ("yes", "no"))) == 0.0


def test_an_unknown_metric_lists_those_of_the_task_and_the_closest() -> None:
    with pytest.raises(
        UsageError, match=r"'maee' is not a metric; expected one of r2, mae, rmse, medae, mape\. Did you mean 'mae'\?"
    ):
        metric_named("maee", "regression")


def test_a_metric_of_the_other_task_is_refused() -> None:
    with pytest.raises(UsageError, match="'r2' is a metric of regression; expected one of accuracy"):
        metric_named("r2", "classification")


@pytest.mark.parametrize("rows", [400, 40_000], ids=["all-rows", "scaled-from-a-part"])
def test_the_standard_error_matches_theory(rows: int) -> None:
    truth = np.zeros(rows)
    errors = np.random.default_rng(0).exponential(1.0, rows)
    found = standard_error("mae", truth, Predictions(errors, None))
    assert found == pytest.approx(float(np.std(errors)) / np.sqrt(rows), rel=0.15)


def test_the_gate_page_lists_every_metric_with_its_task_and_direction() -> None:
    page = (REPOSITORY / "docs" / "gate.md").read_text(encoding="utf-8").split("## Metrics\n")[1].split("\n## ")[0]
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("| `")]
    listed = {name: (row[1], row[2]) for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    with_parameters = {name: listed.pop(name) for name in (COST, PINBALL)}
    assert with_parameters == {COST: ("classification", "lower"), PINBALL: ("regression", "lower")}
    assert listed == {
        name: (metric.task, "higher" if metric.greater_is_better else "lower") for name, metric in METRICS.items()
    }
