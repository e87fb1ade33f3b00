"""Every family, and any composition of families, agrees with scikit-learn on all rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from platform_lib.boosters.estimators import BoostedTreesClassifier, BoostedTreesRegressor
from platform_lib.boosters.libraries import LIBRARIES
from platform_lib.project.transformers import DateParts, HashedTexts
from platform_lib.serving.fastpath.blocks import private
from platform_lib.serving.fastpath.plan import plan
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.features import compose_pipeline, standard_features
from tests.serving.fastpath.pipelines import NUMBERS, TEXTS, fit, on_numbers, proven, regression
from tests.serving.sample_models import CLASSIFICATION, loaded, rows

TRANSFORMERS: dict[str, Callable[[], Any]] = {
    "standard": lambda: on_numbers(StandardScaler()),
    "standard without mean": lambda: on_numbers(StandardScaler(with_mean=False)),
    "min-max": lambda: on_numbers(MinMaxScaler((-1, 2), clip=True)),
    "max-abs": lambda: on_numbers(MaxAbsScaler()),
    "robust": lambda: on_numbers(RobustScaler(with_centering=False)),
    "binarizer": lambda: on_numbers(Binarizer(threshold=0.1)),
    "functions": lambda: on_numbers(FunctionTransformer(np.arcsinh), FunctionTransformer()),
    "bins one-hot": lambda: on_numbers(KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform")),
    "bins ordinal": lambda: on_numbers(
        KBinsDiscretizer(5, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf")
    ),
    "polynomial": lambda: on_numbers(StandardScaler(), PolynomialFeatures(3)),
    "interactions": lambda: on_numbers(
        PolynomialFeatures(2, interaction_only=True, include_bias=False), StandardScaler()
    ),
    "selection": lambda: on_numbers(VarianceThreshold(), SelectKBest(f_classif, k=2)),
    "union": lambda: on_numbers(
        FeatureUnion(
            [("a", StandardScaler()), ("b", MinMaxScaler()), ("c", "passthrough")], transformer_weights={"b": 2.0}
        )
    ),
    "indicator": lambda: ColumnTransformer([("n", SimpleImputer(strategy="median", add_indicator=True), NUMBERS)]),
    "one-hot": lambda: ColumnTransformer([("t", OneHotEncoder(handle_unknown="ignore"), TEXTS)]),
    "one-hot strict": lambda: ColumnTransformer([("t", OneHotEncoder(sparse_output=False), TEXTS)]),
    "one-hot rare": lambda: ColumnTransformer(
        [
            (
                "t",
                OneHotEncoder(
                    handle_unknown="infrequent_if_exist", min_frequency=80, drop="first", sparse_output=False
                ),
                TEXTS,
            )
        ]
    ),
    "ordinal": lambda: ColumnTransformer(
        [("t", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2), TEXTS)]
    ),
    "target": lambda: ColumnTransformer([("t", TargetEncoder(), TEXTS)]),
    "texts imputed": lambda: ColumnTransformer(
        [
            (
                "t",
                Pipeline(
                    [
                        ("fill", SimpleImputer(strategy="constant", fill_value="none")),
                        ("hot", OneHotEncoder(handle_unknown="ignore")),
                    ]
                ),
                TEXTS,
            )
        ]
    ),
    "hashed one-hot": lambda: ColumnTransformer(
        [("t", Pipeline([("hash", HashedTexts("salt")), ("encode", OneHotEncoder(handle_unknown="ignore"))]), TEXTS)]
    ),
    "dates": lambda: ColumnTransformer(
        [("d", Pipeline([("parts", DateParts()), ("fill", SimpleImputer())]), ["joined"])]
    ),
    "places and rest": lambda: ColumnTransformer(
        [("n", SimpleImputer(), [0, 1]), ("drop", "drop", slice(2, 5)), ("p", "passthrough", ["score"])]
    ),
    "standard features": lambda: standard_features(CLASSIFICATION),
}


@pytest.mark.parametrize("make", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_a_transformer_is_covered_and_agrees_with_scikit_learn(make: Callable[[], Any]) -> None:
    fast = proven(fit(Pipeline([("features", make()), ("model", LogisticRegression(max_iter=300))]), "three"))
    assert fast.by_scikit_learn == ()


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(max_iter=300),
    "ridge": RidgeClassifier,
    "svc": LinearSVC,
    "tree": lambda: DecisionTreeClassifier(max_depth=6),
    "forest": lambda: RandomForestClassifier(12, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(12, max_depth=5, random_state=0),
    "hist boosting": lambda: HistGradientBoostingClassifier(max_iter=12, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=12, random_state=0),
    "neighbours": lambda: KNeighborsClassifier(5, algorithm="kd_tree"),
    "near neighbours": lambda: KNeighborsClassifier(7, algorithm="ball_tree", weights="distance"),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "linear": LinearRegression,
    "ridge": Ridge,
    "elastic": lambda: ElasticNet(0.01),
    "poisson": PoissonRegressor,
    "tree": lambda: DecisionTreeRegressor(max_depth=6),
    "forest": lambda: RandomForestRegressor(12, random_state=0),
    "extra trees": lambda: ExtraTreesRegressor(12, random_state=0),
    "hist boosting": lambda: HistGradientBoostingRegressor(max_iter=12, random_state=0),
    "hist poisson": lambda: HistGradientBoostingRegressor(loss="poisson", max_iter=12, random_state=0),
    "boosting": lambda: GradientBoostingRegressor(n_estimators=12, random_state=0),
    "neighbours": lambda: KNeighborsRegressor(5, algorithm="kd_tree", weights="distance"),
}
ALL = [(name, make, kind) for kind in ("two", "three") for name, make in CLASSIFIERS.items()] + [
    (n, m, "numbers") for n, m in REGRESSORS.items()
]


@pytest.mark.parametrize(
    ("make", "kind"), [(make, kind) for _, make, kind in ALL], ids=[f"{name}-{kind}" for name, _, kind in ALL]
)
def test_an_estimator_is_covered_and_agrees_with_scikit_learn(make: Callable[[], Any], kind: str) -> None:
    contract = CLASSIFICATION if kind != "numbers" else regression()
    fast = proven(fit(Pipeline([("features", on_numbers(StandardScaler())), ("model", make())]), kind), contract)
    assert fast.by_scikit_learn == ()


BOOSTERS = [(name, kind) for name in LIBRARIES for kind in ("two", "three", "numbers")]


@pytest.mark.parametrize(("library", "kind"), BOOSTERS, ids=[f"{name}-{kind}" for name, kind in BOOSTERS])
def test_boosted_trees_with_missing_values_are_covered_and_agree(library: str, kind: str) -> None:
    make = BoostedTreesRegressor if kind == "numbers" else BoostedTreesClassifier
    features = ColumnTransformer([("n", "passthrough", NUMBERS)])
    fitted = fit(Pipeline([("features", features), ("model", make(library, params={"n_estimators": 12}))]), kind)
    assert proven(fitted, CLASSIFICATION if kind != "numbers" else regression()).by_scikit_learn == ()


def test_boosting_accepts_missing_values() -> None:
    pipeline = Pipeline(
        [
            ("features", ColumnTransformer([("n", "passthrough", NUMBERS)])),
            ("model", HistGradientBoostingClassifier(max_iter=12)),
        ]
    )
    assert proven(fit(pipeline, "two")).by_scikit_learn == ()


CODES = {
    "codes": OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan, min_frequency=2
    ),
    "other numbers": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-3, encoded_missing_value=-2),
}


@pytest.mark.parametrize("kind", ["two", "three", "numbers"])
@pytest.mark.parametrize("encoder", CODES.values(), ids=CODES)
def test_boosting_splits_on_sets_of_categories(encoder: Any, kind: str) -> None:
    booster = HistGradientBoostingRegressor if kind == "numbers" else HistGradientBoostingClassifier
    features = ColumnTransformer([("n", "passthrough", NUMBERS), ("t", encoder, TEXTS)])
    model = booster(max_iter=12, categorical_features=[3, 4])
    pipeline = fit(Pipeline([("features", features), ("model", model)]), kind)
    fast = proven(pipeline, CLASSIFICATION if kind != "numbers" else regression())
    assert fast.by_scikit_learn == ()
    columns = {name: [row[name] for row in rows(700, seed=5)] for name in CLASSIFICATION.features}
    assert sum(tree.nodes["is_categorical"].sum() for trees in private(model, "_predictors") for tree in trees) > 5
    expected = loaded(pipeline).predict(columns)
    found = fast.predict(columns)
    if kind == "numbers":
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-12)
    else:
        assert found.values.tolist() == expected.values.tolist()


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=12),
        RandomForestClassifier(12, random_state=0),
        ExtraTreesClassifier(12, random_state=0),
        LogisticRegression(max_iter=300),
    ],
    ids=lambda model: type(model).__name__,
)
def test_standard_features_are_covered_for_every_kind_of_estimator(model: Any) -> None:
    config = TrainConfig(data=CLASSIFICATION, model=ModelConfig(name="m"), gate=GateConfig(metric="accuracy"))
    pipeline = fit(compose_pipeline(standard_features(CLASSIFICATION), model, config), "three")
    assert proven(pipeline).by_scikit_learn == ()


def test_many_rows_get_the_same_predictions_as_few() -> None:
    model = loaded(
        fit(Pipeline([("features", on_numbers()), ("model", RandomForestClassifier(12, random_state=0))]), "three")
    )
    fast = plan(model.pipeline, CLASSIFICATION)
    some = rows(700, seed=5)
    columns = {name: [row[name] for row in some] for name in CLASSIFICATION.features}
    given_, expected = fast.predict(columns), model.predict(columns)
    assert given_.values.tolist() == expected.values.tolist()
    assert given_.probabilities is not None and expected.probabilities is not None
    np.testing.assert_allclose(given_.probabilities, expected.probabilities, rtol=1e-9)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    chosen=st.lists(
        st.sampled_from(
            [
                "standard",
                "min-max",
                "robust",
                "bins one-hot",
                "polynomial",
                "indicator",
                "one-hot rare",
                "hashed one-hot",
                "target",
                "ordinal",
                "dates",
            ]
        ),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    after=st.sampled_from([None, StandardScaler, MaxAbsScaler, VarianceThreshold]),
    model=st.sampled_from(ALL),
    seed=st.integers(0, 50),
)
def test_any_composition_agrees_with_scikit_learn(
    chosen: list[str], after: Any, model: tuple[str, Callable[[], Any], str], seed: int
) -> None:
    _, make, kind = model
    features = ColumnTransformer(
        [
            (f"{name}-{place}", t, c)
            for name in chosen
            for place, (_, t, c) in enumerate(TRANSFORMERS[name]().transformers)
        ]
    )
    steps = [("features", features), *([("after", after())] if after else []), ("model", make())]
    proven(fit(Pipeline(steps), kind, seed), CLASSIFICATION if kind != "numbers" else regression())
