"""Without a private attribute of scikit-learn, scikit-learn runs the step and the rest stays fast."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from platform_lib.serving.fastpath.blocks import NotCovered, private
from platform_lib.serving.fastpath.plan import plan
from platform_lib.serving.fastpath.selection import prediction_function, select_fast_path
from tests.serving.fastpath.pipelines import TEXTS, example, fit, on_numbers, proven, regression
from tests.serving.sample_models import CLASSIFICATION, loaded, rows

ATTRIBUTES: list[tuple[Callable[[], Any], str, str]] = [
    *(
        (lambda: HistGradientBoostingClassifier(max_iter=5), "two", name)
        for name in ("_preprocessor", "_predictors", "_baseline_prediction", "_loss")
    ),
    (lambda: HistGradientBoostingRegressor(max_iter=5), "numbers", "_loss"),
    *((lambda: GradientBoostingClassifier(n_estimators=5), "two", name) for name in ("_raw_predict_init", "_loss")),
    (PoissonRegressor, "numbers", "_base_loss"),
    *((lambda: KNeighborsClassifier(algorithm="kd_tree"), "two", name) for name in ("_fit_method", "_tree", "_y")),
    (lambda: KNeighborsRegressor(algorithm="kd_tree"), "numbers", "_y"),
]


def remove(fitted: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove an attribute from an object, or from the class that defines it."""
    owners = [fitted, *type(fitted).__mro__]
    monkeypatch.delattr(next(owner for owner in owners if name in vars(owner)), name)


@pytest.mark.parametrize(
    ("make", "kind", "name"), ATTRIBUTES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_estimator_without_a_private_attribute_is_left_to_scikit_learn(
    make: Callable[[], Any], kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = regression() if kind == "numbers" else CLASSIFICATION
    pipeline = fit(Pipeline([("features", on_numbers(StandardScaler())), ("model", make())]), kind)
    assert plan(pipeline, contract).by_scikit_learn == ()
    remove(pipeline[-1], name, monkeypatch)
    assert plan(pipeline, contract).by_scikit_learn == ("model",)


def test_an_encoder_without_a_private_attribute_is_left_to_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    features = ColumnTransformer([("t", OneHotEncoder(handle_unknown="ignore"), TEXTS)])
    pipeline = fit(Pipeline([("features", features), ("model", LogisticRegression())]), "two")
    assert plan(pipeline, CLASSIFICATION).by_scikit_learn == ()
    encoder = pipeline["features"].named_transformers_["t"]
    remove(encoder, "_n_features_outs", monkeypatch)
    assert plan(pipeline, CLASSIFICATION).by_scikit_learn == ("features/t",)


@pytest.mark.parametrize("name", ["_predictor._predict_from_raw_data", "common.PREDICTOR_RECORD_DTYPE"])
def test_without_a_private_function_the_pipeline_predicts_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fit(
        Pipeline([("features", on_numbers(StandardScaler())), ("model", RandomForestClassifier(5, random_state=0))]),
        "three",
    )
    assert proven(pipeline).by_scikit_learn == ()
    monkeypatch.delattr(f"sklearn.ensemble._hist_gradient_boosting.{name}")
    model = loaded(pipeline)
    selection = select_fast_path(model, example(), None)
    assert selection.fast is not None and selection.fast.by_scikit_learn == ("model",)
    some = {name: [row[name] for row in rows(50, seed=3)] for name in CLASSIFICATION.features}
    given, expected = prediction_function(model, selection)(some), model.predict(some)
    assert given.values.tolist() == expected.values.tolist()
    np.testing.assert_allclose(given.probabilities, expected.probabilities, rtol=1e-9)  # type: ignore[arg-type]


def test_the_reason_names_class_and_attribute() -> None:
    with pytest.raises(NotCovered, match=r"^this version of scikit-learn has no StandardScaler._gone$"):
        private(StandardScaler(), "_gone")
