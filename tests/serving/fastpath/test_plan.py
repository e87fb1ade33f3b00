"""Which steps of a pipeline are fast, and which are left to scikit-learn or user code."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    RandomForestRegressor,
)
from sklearn.impute import KNNImputer
from sklearn.linear_model import (
    LogisticRegression,
    Ridge,
)
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    StandardScaler,
)

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from tests.serving.fastpath.pipelines import NUMBERS, Own, fit, numeric, on_numbers, proven


def test_a_user_defined_transformer_works_and_the_rest_is_fast() -> None:
    features = ColumnTransformer([("own", Own(), ["score", "town"]), ("n", numeric(StandardScaler()), NUMBERS)])
    fast = proven(fit(Pipeline([("features", features), ("model", LogisticRegression())]), "two"))
    assert fast.by_scikit_learn == ("features/own",)


def test_a_step_that_no_family_covers_is_left_to_scikit_learn() -> None:
    features = ColumnTransformer([("n", Pipeline([("scale", StandardScaler()), ("fill", KNNImputer())]), NUMBERS)])
    fast = proven(fit(Pipeline([("features", features), ("model", AdaBoostClassifier(n_estimators=5))]), "two"))
    assert fast.by_scikit_learn == ("features/n/fill", "model")


def test_after_user_defined_features_the_model_is_still_fast() -> None:
    fast = proven(fit(Pipeline([("own", Own()), ("model", LogisticRegression())]), "two"))
    assert fast.by_scikit_learn == ("own",)


def test_a_threshold_decides_between_two_classes() -> None:
    model = FixedThresholdClassifier(
        LogisticRegression(), threshold=0.8, pos_label="no", response_method="predict_proba"
    )
    fast = proven(fit(Pipeline([("features", on_numbers(StandardScaler())), ("model", model)]), "two"))
    assert fast.by_scikit_learn == ()


def test_numeric_columns_alone_need_no_column_transformer() -> None:
    columns = {name: Column(type="number") for name in ("a", "b")}
    contract = DataContract(
        name="two", path="x", task="regression", target="y", columns={**columns, "y": Column(type="number")}
    )
    random = np.random.default_rng(0)
    frame = feature_frame({name: random.normal(size=50) for name in ("a", "b")}, contract)
    for steps in ([("model", Ridge())], [("scale", StandardScaler()), ("model", RandomForestRegressor(5))]):
        assert proven(Pipeline(steps).fit(frame, random.normal(size=50)), contract).by_scikit_learn == ()


def test_steps_that_exchange_frames_are_left_to_scikit_learn() -> None:
    features = on_numbers(StandardScaler()).set_output(transform="pandas")
    fast = proven(fit(Pipeline([("features", features), ("model", LogisticRegression())]), "two"))
    assert fast.by_scikit_learn == ("features",)
