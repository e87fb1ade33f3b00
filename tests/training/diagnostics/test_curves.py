"""Curves, calibration and thresholds equal scikit-learn's on the same rows."""

import msgspec
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from platform_lib.training.diagnostics.curves import class_curves, class_tables
from platform_lib.training.diagnostics.held_out import NotComputable
from platform_lib.training.diagnostics.tables import CURVE_POINTS
from platform_lib.training.diagnostics.thresholds import threshold_table
from tests.training.diagnostics.tables_of_rows import Fitted, three_classes, two_classes

ROUNDING = 1e-5


@pytest.fixture(scope="module")
def two() -> Fitted:
    return two_classes()


@pytest.fixture(scope="module")
def three() -> Fitted:
    return three_classes()


@pytest.mark.parametrize("name", ["two", "three"])
def test_the_confusion_matrix_is_scikit_learns(name: str, request: pytest.FixtureRequest) -> None:
    rows = request.getfixturevalue(name).rows

    found = class_tables(rows)

    expected = confusion_matrix(rows.truth, rows.predictions.values, labels=found.labels)
    assert found.confusion == expected.tolist()


def test_two_classes_have_the_curves_of_the_positive_one(two: Fitted) -> None:
    curves, missing = class_curves(two.rows)

    (curve,) = curves
    assert (curve.label, missing) == ("yes", {})
    assert curve.rows == int((two.rows.truth == "yes").sum())
    assert curve.base_rate == pytest.approx((two.rows.truth == "yes").mean(), rel=ROUNDING)


def test_more_classes_have_curves_against_the_rest(three: Fitted) -> None:
    curves, _ = class_curves(three.rows)

    assert three.rows.predictions.probabilities is not None
    assert [curve.label for curve in curves] == ["high", "low", "mid"]
    for position, curve in enumerate(curves):
        expected = roc_auc_score(three.rows.truth == curve.label, three.rows.predictions.probabilities[:, position])
        assert curve.roc.area == pytest.approx(expected, rel=ROUNDING)


def test_the_points_of_the_curves_are_scikit_learns(two: Fitted) -> None:
    (curve,), _ = class_curves(two.rows)
    truth, scores = two.rows.truth == "yes", two.rows.predictions.probabilities[:, 1]  # type: ignore[index]

    for found, (x, y, _) in (
        (curve.roc, roc_curve(truth, scores, drop_intermediate=False)),
        (curve.precision_recall, _recall_first(*precision_recall_curve(truth, scores))),
    ):
        assert len(found.x) == len(found.y) == len(found.thresholds)
        assert 100 < len(found.x) <= CURVE_POINTS
        distances = np.abs(np.subtract.outer(found.x, x)) + np.abs(np.subtract.outer(found.y, y))
        assert distances.min(axis=1).max() < ROUNDING
        assert (found.x[0], found.x[-1]) == (x[0], x[-1])
    assert curve.precision_recall.area == pytest.approx(average_precision_score(truth, scores), rel=ROUNDING)


def _recall_first(precision: np.ndarray, recall: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, ...]:
    return recall, precision, thresholds


def test_calibration_is_scikit_learns_with_intervals_that_contain_it(two: Fitted) -> None:
    (curve,), _ = class_curves(two.rows)
    truth, scores = two.rows.truth == "yes", two.rows.predictions.probabilities[:, 1]  # type: ignore[index]

    observed, predicted = calibration_curve(truth, scores, n_bins=10, strategy="quantile")

    bins = curve.calibration.bins
    assert [part.observed for part in bins] == pytest.approx(observed, rel=ROUNDING)
    assert [part.predicted for part in bins] == pytest.approx(predicted, rel=ROUNDING)
    assert sum(part.rows for part in bins) == len(two.rows)
    assert all(part.interval.low <= part.observed <= part.interval.high for part in bins)
    weights = np.array([part.rows for part in bins]) / len(two.rows)
    assert curve.calibration.error == pytest.approx(float(np.abs(observed - predicted) @ weights), rel=1e-4)


def test_the_right_model_is_as_calibrated_as_chance_allows_and_an_overconfident_one_is_not(two: Fitted) -> None:
    right = class_curves(two.rows)[0][0].calibration
    probabilities = two.rows.predictions.probabilities
    assert probabilities is not None
    odds = (probabilities / (1 - probabilities)) ** 3
    sure = odds / (1 + odds)
    too_sure = _with_probabilities(two, sure)

    wrong = class_curves(too_sure.rows)[0][0].calibration

    assert right.error < right.error_by_chance
    assert wrong.error > 2 * wrong.error_by_chance


def test_thresholds_count_what_scikit_learn_counts(two: Fitted) -> None:
    scores = two.rows.predictions.probabilities[:, 1]  # type: ignore[index]
    truth = two.rows.truth == "yes"

    table = threshold_table(two.rows, 0.5)

    assert 100 < len(table.thresholds) <= CURVE_POINTS
    exact = np.unique(np.quantile(scores, np.linspace(0, 1, CURVE_POINTS), method="inverted_cdf"))
    for position in range(0, len(exact), 20):
        predicted = scores >= exact[position]
        assert table.thresholds[position] == pytest.approx(exact[position], rel=ROUNDING)
        assert table.precision[position] == pytest.approx(precision_score(truth, predicted), rel=ROUNDING)
        assert table.recall[position] == pytest.approx(recall_score(truth, predicted), rel=ROUNDING)
        assert table.f1[position] == pytest.approx(f1_score(truth, predicted), rel=ROUNDING)
        assert table.predicted[position] == pytest.approx(predicted.mean(), rel=ROUNDING)
        (negatives, alarms), (missed, hits) = confusion_matrix(truth, predicted).tolist()
        counts = (table.true_negatives, table.false_positives, table.false_negatives, table.true_positives)
        assert [part[position] for part in counts] == [negatives, alarms, missed, hits]


def test_the_dearer_a_miss_the_lower_the_threshold(two: Fitted) -> None:
    table = threshold_table(two.rows, 0.5)

    thresholds = [choice.threshold for choice in table.costs]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[-1]
    # For calibrated probabilities the best one is 1 / (1 + miss_cost).
    assert [choice.threshold for choice in table.costs] == pytest.approx([1 / 2, 1 / 6, 1 / 21], abs=0.12)


def test_without_probabilities_the_confusion_matrix_is_left(two: Fitted) -> None:
    rows = _with_probabilities(two, None).rows

    assert class_tables(rows).confusion
    with pytest.raises(NotComputable, match="gives no probabilities"):
        class_curves(rows)


def test_a_class_without_rows_has_no_curves_and_a_reason(three: Fitted) -> None:
    import dataclasses

    from platform_lib.metrics import take

    kept = np.flatnonzero(three.rows.truth != "mid")
    rows = dataclasses.replace(three.rows, truth=three.rows.truth[kept], predictions=take(three.rows.predictions, kept))

    curves, missing = class_curves(rows)

    assert [curve.label for curve in curves] == ["high", "low"]
    assert missing == {"mid": f"none of the {len(kept)} rows are of class mid."}


def test_permuted_rows_give_the_same_tables(two: Fitted) -> None:
    import dataclasses

    from platform_lib.metrics import take

    order = np.random.default_rng(5).permutation(len(two.rows))
    shuffled = dataclasses.replace(
        two.rows,
        frame=two.rows.frame.iloc[order],
        truth=two.rows.truth[order],
        predictions=take(two.rows.predictions, order),
    )

    assert msgspec.to_builtins(class_curves(shuffled)) == msgspec.to_builtins(class_curves(two.rows))
    assert class_tables(shuffled) == class_tables(two.rows)
    assert threshold_table(shuffled, 0.5) == threshold_table(two.rows, 0.5)


def _with_probabilities(made: Fitted, probabilities: np.ndarray | None) -> Fitted:
    import dataclasses

    predictions = dataclasses.replace(made.rows.predictions, probabilities=probabilities)
    return dataclasses.replace(made, rows=dataclasses.replace(made.rows, predictions=predictions))
