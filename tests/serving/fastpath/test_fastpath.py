"""The fast path answers as scikit-learn does: every family, any composition of them, honest and extreme rows; where it does not, it is off."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
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
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier
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

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.data.rows import rows_of
from platform_lib.model.probe_rows import probe_rows
from platform_lib.model.profile import parse_profile
from platform_lib.project.transformers import DateParts
from platform_lib.serving.fastpath.parity import difference
from platform_lib.serving.fastpath.plan import FastPath, plan
from platform_lib.serving.fastpath.selection import select_fast_path
from platform_lib.serving.models.example import example_row
from platform_lib.training.features import standard_features
from tests.serving.sample_models import CLASSIFICATION, FixedSource, fitted, frame_of, loaded, rows

NUMBERS = ["age", "income", "score"]
TEXTS = ["town", "secret"]
DICE = 300


def data(seed: int = 0, count: int = DICE) -> Any:
    return frame_of(rows(count, seed), CLASSIFICATION)


def truth(seed: int, kind: str, count: int = DICE) -> Any:
    random = np.random.default_rng(seed)
    signal = data(seed, count)["score"].to_numpy() + random.normal(scale=0.3, size=count)
    if kind == "numbers":
        return np.exp(signal)
    if kind == "two":
        return np.where(signal > 0, "yes", "no").astype(object)
    return np.array(["no", "maybe", "yes"], dtype=object)[np.digitize(signal, [-0.3, 0.3])]


def fit(pipeline: Pipeline, kind: str, seed: int = 0) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline.fit(data(seed), truth(seed, kind))


def proven(pipeline: Pipeline, contract: DataContract = CLASSIFICATION) -> FastPath:
    """The fast path, after it was compared on check rows and on rows it was not fitted on."""
    fast = plan(pipeline, contract)
    asked = probe_rows(contract, rows_of([example_row(contract)], contract)[0], None)
    if contract is CLASSIFICATION:
        asked += rows_of(rows(40, seed=99), contract)
    assert difference(loaded(pipeline, contract).predict, fast.predict, asked, contract) is None
    return fast


def numeric(*steps: Any) -> Pipeline:
    """Steps for numbers, after what fills their gaps."""
    named = [(f"s{place}", step) for place, step in enumerate(steps)]
    return Pipeline([("impute", SimpleImputer()), *named])


def on_numbers(*steps: Any) -> ColumnTransformer:
    return ColumnTransformer([("n", numeric(*steps), NUMBERS)])


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
    "dates": lambda: ColumnTransformer(
        [("d", Pipeline([("parts", DateParts()), ("fill", SimpleImputer())]), ["joined"])]
    ),
    "places and rest": lambda: ColumnTransformer(
        [("n", SimpleImputer(), [0, 1]), ("drop", "drop", slice(2, 5)), ("p", "passthrough", ["score"])]
    ),
    "standard features": lambda: standard_features(CLASSIFICATION),
}


@pytest.mark.parametrize("make", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_a_transformer_is_covered_and_equal(make: Callable[[], Any]) -> None:
    fast = proven(fit(Pipeline([("features", make()), ("model", LogisticRegression(max_iter=300))]), "three"))
    assert fast.ordinary == ()


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
def test_an_estimator_is_covered_and_equal(make: Callable[[], Any], kind: str) -> None:
    contract = CLASSIFICATION if kind != "numbers" else regression()
    fast = proven(fit(Pipeline([("features", on_numbers(StandardScaler())), ("model", make())]), kind), contract)
    assert fast.ordinary == ()


def regression() -> DataContract:
    return DataContract(
        name="people",
        path="x",
        task="regression",
        target="y",
        columns={**CLASSIFICATION.columns, "y": Column(type="number")},
    )


def test_boosting_takes_gaps() -> None:
    pipeline = Pipeline(
        [
            ("features", ColumnTransformer([("n", "passthrough", NUMBERS)])),
            ("model", HistGradientBoostingClassifier(max_iter=12)),
        ]
    )
    assert proven(fit(pipeline, "two")).ordinary == ()


def test_many_rows_are_answered_as_few_are() -> None:
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
def test_any_composition_is_equal(
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


class Own(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What a user may write: it wants the frame."""

    def fit(self, X: Any, y: Any = None) -> "Own":
        del y
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X[["score"]].to_numpy() * 2 + (X["town"] == "Bern").to_numpy()[:, None]


def test_a_transformer_of_the_users_works_and_the_rest_is_fast() -> None:
    features = ColumnTransformer([("own", Own(), ["score", "town"]), ("n", numeric(StandardScaler()), NUMBERS)])
    fast = proven(fit(Pipeline([("features", features), ("model", LogisticRegression())]), "two"))
    assert fast.ordinary == ("features/own",)


def test_a_step_that_no_family_covers_is_scikit_learns() -> None:
    features = ColumnTransformer([("n", Pipeline([("scale", StandardScaler()), ("fill", KNNImputer())]), NUMBERS)])
    fast = proven(fit(Pipeline([("features", features), ("model", AdaBoostClassifier(n_estimators=5))]), "two"))
    assert fast.ordinary == ("features/n/fill", "model")


def test_users_features_first_leave_a_fast_model() -> None:
    fast = proven(fit(Pipeline([("own", Own()), ("model", LogisticRegression())]), "two"))
    assert fast.ordinary == ("own",)


def test_a_threshold_decides_between_the_classes() -> None:
    model = FixedThresholdClassifier(
        LogisticRegression(), threshold=0.8, pos_label="no", response_method="predict_proba"
    )
    fast = proven(fit(Pipeline([("features", on_numbers(StandardScaler())), ("model", model)]), "two"))
    assert fast.ordinary == ()


def test_numbers_alone_need_no_column_transformer() -> None:
    columns = {name: Column(type="number") for name in ("a", "b")}
    contract = DataContract(
        name="two", path="x", task="regression", target="y", columns={**columns, "y": Column(type="number")}
    )
    random = np.random.default_rng(0)
    frame = feature_frame({name: random.normal(size=50) for name in ("a", "b")}, contract)
    for steps in ([("model", Ridge())], [("scale", StandardScaler()), ("model", RandomForestRegressor(5))]):
        assert proven(Pipeline(steps).fit(frame, random.normal(size=50)), contract).ordinary == ()


def test_a_pipeline_that_nothing_covers_has_no_fast_path() -> None:
    selection = select_fast_path(
        loaded(fit(Pipeline([("own", Own()), ("model", AdaBoostClassifier(n_estimators=2))]), "two")), example(), None
    )
    assert (selection.fast, selection.reason, selection.is_mismatch) == (None, "no family covers a step of it.", False)


def test_frames_between_steps_are_scikit_learns() -> None:
    features = on_numbers(StandardScaler()).set_output(transform="pandas")
    fast = proven(fit(Pipeline([("features", features), ("model", LogisticRegression())]), "two"))
    assert fast.ordinary == ("features",)


def example() -> tuple[Any, ...]:
    return rows_of([example_row(CLASSIFICATION)], CLASSIFICATION)[0]


def test_a_mismatch_switches_the_fast_path_off_and_says_where(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = fitted()
    assert select_fast_path(loaded(pipeline), example(), None).fast is not None
    monkeypatch.setattr(
        "platform_lib.serving.fastpath.families.linear.softmax", lambda scores: np.full(scores.shape, 1 / 3)
    )
    selection = select_fast_path(loaded(pipeline), example(), None)
    assert selection.fast is None
    assert selection.is_mismatch
    assert (
        selection.reason is not None and "answers otherwise than the pipeline: row 0 of the check" in selection.reason
    )
    assert "is answered by scikit-learn alone" in caplog.text


def test_what_the_fast_path_fails_on_the_pipeline_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    model = loaded(fitted())
    served = FixedSource(model).current
    assert served is not None
    selection = select_fast_path(model, example(), None)
    assert selection.fast is not None

    def fails(_columns: Any) -> Any:
        raise ValueError("no")

    broken = replace(served, selection=replace(selection, fast=replace(selection.fast, answer=fails)))
    some = {name: [row[name] for row in rows(3)] for name in CLASSIFICATION.features}
    assert broken.predict(some).values.tolist() == model.predict(some).values.tolist()


def test_probe_rows_have_every_edge_and_values_of_the_profile() -> None:
    from platform_lib.model.artifact import predict
    from platform_lib.model.profile import build_profile

    profile = parse_profile(build_profile(data(), predict(fitted(), data()), CLASSIFICATION))
    asked = probe_rows(CLASSIFICATION, example(), profile)
    assert asked == probe_rows(CLASSIFICATION, example(), profile)
    by_column = dict(zip(CLASSIFICATION.features, (set(values) for values in zip(*asked, strict=True)), strict=True))
    assert {None, 7.0, -(10**12)} <= by_column["age"]
    assert {
        "no such category",
        None,
        "Bern",
        "Zug",
        f" {example()[CLASSIFICATION.features.index('town')]}\t",
    } <= by_column["town"]
    assert {1e30, -1e30} <= by_column["score"]
    assert None not in by_column["score"]
    assert by_column["vip"] == {True, False, None}
