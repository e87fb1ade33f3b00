"""The three boosting libraries behave the same: labels, missing values, categories, early stopping, storage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.base import clone

from platform_lib.boosters.estimators import BoostedTreesClassifier, BoostedTreesRegressor
from platform_lib.boosters.inner_rows import inner_mask, inner_order
from platform_lib.boosters.libraries import LIBRARIES
from platform_lib.boosters.problem import fewest_trees
from platform_lib.errors import UsageError
from platform_lib.model.trust import check_types

ROWS = 600
PARAMS = {"n_estimators": 200, "learning_rate": 0.2, "early_stopping_rounds": 10}
TARGETS = ("text", "boolean", "number class", "three", "number")
LABELS = {
    "text": np.array(["no", "yes"], dtype=object),
    "boolean": np.array([False, True]),
    "number class": np.array([3, 7]),
    "three": np.array(["low", "High", "middle"], dtype=object),
}


def table(target: str, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Three numbers, a category that turns the sign of one, and gaps; with a target."""
    random = np.random.default_rng(seed)
    block = random.normal(size=(ROWS, 4))
    block[:, 3] = random.integers(0, 12, ROWS)
    signal = block[:, 0] + block[:, 1] * np.where(block[:, 3] % 2, 2, -2)
    block[random.random(block.shape) < 0.05] = np.nan
    if target == "number":
        return block, signal
    labels = LABELS[target]
    return block, labels[np.digitize(signal, [-0.7, 0.7] if len(labels) == 3 else [0.0])]


def estimator(library: str, target: str, **params: Any) -> Any:
    kind = BoostedTreesRegressor if target == "number" else BoostedTreesClassifier
    return kind(library, params=PARAMS | params, categorical_features=[3], random_state=1)


@pytest.fixture(scope="module", params=[(name, target) for name in LIBRARIES for target in TARGETS], ids="-".join)
def fitted(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, NDArray[np.float64], NDArray[Any]]]:
    library, target = request.param
    block, truth = table(target)
    yield target, estimator(library, target).fit(block, truth), block, truth


Fitted = tuple[str, Any, NDArray[np.float64], NDArray[Any]]


def answers(model: Any, block: NDArray[np.float64]) -> Any:
    return model.predict_proba(block) if hasattr(model, "classes_") else model.predict(block)


def test_it_learns_rows_that_it_has_not_seen(fitted: Fitted) -> None:
    target, model, _, _ = fitted
    block, truth = table(target, seed=1)
    assert model.score(block, truth) > {"number": 0.35, "three": 0.65}.get(target, 0.75)


def test_labels_and_probabilities_are_in_the_order_of_the_classes(fitted: Fitted) -> None:
    target, model, block, truth = fitted
    if target == "number":
        assert answers(model, block).shape == (ROWS,)
        return
    assert model.classes_.tolist() == sorted(set(truth.tolist()))
    probabilities = answers(model, block)
    assert probabilities.shape == (ROWS, len(model.classes_))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    of_truth = probabilities[np.arange(ROWS), np.searchsorted(model.classes_, truth)]
    assert of_truth.mean() > 0.6
    assert model.predict(block).dtype == truth.dtype


def test_a_row_alone_is_predicted_as_in_a_batch(fitted: Fitted) -> None:
    _, model, block, _ = fitted
    together = answers(model, block)
    alone = np.concatenate([answers(model, block[[row]]) for row in range(30)])
    np.testing.assert_array_equal(alone, together[:30])


def test_unknown_categories_are_answered(fitted: Fitted) -> None:
    _, model, block, _ = fitted
    rows = block[:3].copy()
    rows[:, 3] = [99, np.nan, 11]
    assert np.isfinite(answers(model, rows)).all()


def test_the_same_seed_gives_the_same_model(fitted: Fitted) -> None:
    _, model, block, truth = fitted
    again = clone(model).fit(block, truth)
    assert again.n_trees_ == model.n_trees_
    np.testing.assert_array_equal(answers(again, block), answers(model, block))


def test_a_model_file_needs_no_trust_of_the_library(fitted: Fitted, tmp_path: Path) -> None:
    _, model, block, _ = fitted
    answers(model, block[:1])  # the library's object is there, and is not stored
    skops.io.dump(model, tmp_path / "model.skops")
    trusted = check_types(tmp_path / "model.skops", package=None)
    assert {name.split(".")[0] for name in trusted} <= {"platform_lib", "numpy"}
    loaded = skops.io.load(tmp_path / "model.skops", trusted=trusted)
    np.testing.assert_array_equal(answers(loaded, block), answers(model, block))


@pytest.mark.parametrize("library", LIBRARIES)
def test_early_stopping_finds_the_number_of_trees_and_fits_all_rows(library: str) -> None:
    block, truth = table("text")
    noise = np.random.default_rng(2).permutation(truth)
    model = estimator(library, "text").fit(block, noise)
    assert 1 <= model.n_trees_ < 100  # nothing can be learned, so many trees would be worse
    assert model.n_inner_rows_ == round(0.1 * ROWS)
    whole = estimator(library, "text", early_stopping_rounds=None, n_estimators=model.n_trees_).fit(block, noise)
    assert whole.n_inner_rows_ == 0
    np.testing.assert_array_equal(answers(whole, block), answers(model, block))


@pytest.mark.parametrize("library", LIBRARIES)
def test_class_weights_move_the_probabilities(library: str) -> None:
    block, _ = table("text")
    truth = np.where(np.random.default_rng(3).random(ROWS) < 0.1, "rare", "usual").astype(object)
    plain, weighted = (
        BoostedTreesClassifier(library, params={"n_estimators": 5}, class_weight=weight).fit(block, truth)
        for weight in (None, "balanced")
    )
    rare = [float(model.predict_proba(block)[:, 0].mean()) for model in (plain, weighted)]
    assert rare[0] < 0.2 < rare[1]
    by_label = BoostedTreesClassifier(library, params={"n_estimators": 5}, class_weight={"rare": 9.0})
    assert by_label.fit(block, truth).predict_proba(block)[:, 0].mean() > 0.3


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_estimators": 0}, "n_estimators is 0, expected a whole number of 1 or more"),
        ({"early_stopping_rounds": -1}, "early_stopping_rounds is -1, expected"),
        ({"validation_share": 0.9}, "validation_share is 0.9, expected a share above 0 and up to 0.5"),
        ({"class_weight": "balanced"}, "sets class_weight, which this platform sets for"),
    ],
)
def test_a_bad_parameter_is_refused(library: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        estimator(library, "text", **params).fit(*table("text"))


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_parameter_that_the_library_does_not_know_is_refused(library: str) -> None:
    with pytest.raises(Exception, match="colour"):
        estimator(library, "text", colour=3).fit(*table("text"))


def test_inner_rows_follow_the_announced_order() -> None:
    block, truth = table("number")
    order = np.repeat(np.arange(ROWS / 10), 10)[::-1]  # ten rows of each group
    with inner_order(truth, order):
        announced = inner_mask(block, truth, 0.2, None)
        other_rows = inner_mask(block[:300], truth[:300], 0.2, None)
    assert announced is not None and other_rows is not None
    np.testing.assert_array_equal(np.flatnonzero(announced), np.arange(ROWS - 120, ROWS))
    assert 30 <= other_rows.sum() <= 90 and not other_rows[-60:].all()


def test_without_an_order_equal_rows_stay_together() -> None:
    block, truth = table("number")
    mask = inner_mask(np.repeat(block, 3, axis=0), np.repeat(truth, 3), 0.1, None)
    assert mask is not None
    assert set(mask.reshape(-1, 3).sum(axis=1).tolist()) == {0, 3}


def test_a_class_with_inner_rows_only_is_fitted() -> None:
    block, _ = table("number")
    codes = np.zeros(ROWS, dtype=np.intp)
    codes[:2] = 1
    with inner_order(codes, np.arange(ROWS, dtype=np.float64)):
        mask = inner_mask(block, codes, 0.1, codes)
    assert mask is not None
    assert not mask[:2].any() and mask[2:60].all()


def test_a_constant_order_gives_no_inner_rows() -> None:
    block, truth = table("number")
    with inner_order(truth, np.zeros(ROWS)):
        assert inner_mask(block, truth, 0.1, None) is None
        model = BoostedTreesRegressor("lightgbm", params=PARAMS).fit(block, truth)
    assert (model.n_trees_, model.n_inner_rows_) == (100, 0)


def test_trees_that_change_nothing_are_left_out() -> None:
    losses = [0.5, 0.1, 0.0105, 0.0104, 0.0101, 0.01]
    assert fewest_trees(losses, 2) == 3
    assert fewest_trees(losses, 0) == 6
