"""Permutation importance and partial dependence equal scikit-learn's, and noise is told apart from signal."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.inspection import partial_dependence as scikit_learns
from sklearn.inspection import permutation_importance

from platform_lib.data.contract import Column
from platform_lib.training.diagnostics.dependence import ROWS, partial_dependence
from platform_lib.training.diagnostics.importance import MOST_WORK, _affordable, permutation_importances
from tests.training.diagnostics.tables_of_rows import COLUMNS, Fitted, numbers, three_classes, two_classes


@pytest.fixture(scope="module")
def two() -> Fitted:
    return two_classes()


@pytest.mark.parametrize(
    ("made", "metric", "scoring"),
    [(two_classes, "log_loss", "neg_log_loss"), (two_classes, "roc_auc", "roc_auc"), (numbers, "r2", "r2")],
)
def test_importances_are_scikit_learns(made: Callable[..., Fitted], metric: str, scoring: str) -> None:
    fitted = made()
    found, reason = permutation_importances(fitted.pipeline, fitted.rows, metric, seed=3, most_work=10**9)

    expected = permutation_importance(
        fitted.pipeline,
        fitted.rows.frame,
        fitted.rows.truth,
        scoring=scoring,
        n_repeats=found.repeats,
        random_state=3,
    )
    assert (found.rows, reason) == (len(fitted.rows), None)
    by_name = dict(zip(fitted.rows.frame.columns, expected.importances_mean, strict=True))
    assert {part.feature: part.loss for part in found.features} == pytest.approx(by_name, rel=1e-4, abs=1e-7)
    assert [part.loss for part in found.features] == sorted((part.loss for part in found.features), reverse=True)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [(55, 7, (55, 5, 7)), (2000, 20, (1000, 3, 20)), (200_000, 3, (5000, 5, 3)), (2000, 2000, (250, 3, 3))],
)
def test_rows_and_columns_alone_decide_how_much_is_shuffled(
    rows: int, columns: int, expected: tuple[int, int, int]
) -> None:
    assert _affordable(rows, columns, MOST_WORK) == expected


def test_noise_has_an_interval_with_zero_and_signal_does_not() -> None:
    contain_zero = 0
    for seed in range(10):
        fitted = two_classes(seed=seed)
        found, _ = permutation_importances(fitted.pipeline, fitted.rows, "log_loss", seed=seed, most_work=10**9)
        intervals = {part.feature: part.interval for part in found.features}
        assert found.features[0].feature == "strong"
        assert intervals["strong"].low > 0
        assert intervals["weak"].low > 0
        contain_zero += intervals["noise"].low <= 0 <= intervals["noise"].high
    assert contain_zero >= 8


def test_of_a_wide_table_only_features_that_go_along_with_the_predictions_are_shuffled(two: Fitted) -> None:
    found, reason = permutation_importances(two.pipeline, two.rows, "log_loss", seed=0, most_work=1)

    assert (found.rows, found.repeats) == (250, 3)
    assert [part.feature for part in found.features] == ["strong"]
    assert found.features[0].interval.low > 0
    assert reason is not None
    assert reason.startswith("only 1 of 6 features were shuffled")


@pytest.mark.parametrize("name", ["strong", "member", "city"])
@pytest.mark.parametrize("made", [two_classes, three_classes, numbers])
def test_partial_dependence_is_scikit_learns(made: Callable[..., Fitted], name: str) -> None:
    fitted = made(held_out=ROWS)
    (found,), _ = partial_dependence(fitted.pipeline, fitted.rows, [name], seed=0)
    values = {"false": 0.0, "true": 1.0}

    grid = np.array(
        [values.get(str(value), value) for value in found.values], dtype=fitted.rows.frame[name].to_numpy().dtype
    )
    expected = scikit_learns(
        fitted.pipeline,
        fitted.rows.frame,
        [name],
        custom_values={name: grid},
        response_method="predict_proba" if fitted.rows.is_classification else "auto",
        method="brute",
        kind="average",
    )["average"]
    assert found.rows == ROWS
    assert np.array(found.means) == pytest.approx(expected, rel=1e-4)


def test_a_time_is_set_to_times_and_says_so(two: Fitted) -> None:
    (found,), _ = partial_dependence(two.pipeline, two.rows, ["day"], seed=0)

    assert found.kind == "time"
    assert str(found.values[0]).startswith("2026-01-")
    assert len(found.values) == len(found.means[0]) == 20


def test_values_of_private_columns_are_not_shown() -> None:
    hidden = two_classes(strong=Column(type="number", log=False), city=Column(type="string", sensitive=True, log=False))

    found, left_out = partial_dependence(hidden.pipeline, hidden.rows, list(COLUMNS), seed=0)

    assert [part.feature for part in found] == ["weak", "noise", "member", "day"]
    assert left_out == ["strong", "city"]
