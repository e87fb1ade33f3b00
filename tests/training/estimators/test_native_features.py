"""Trees and boosting get categories as codes and missing values as they are; all others get one column per category."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from platform_lib.boosters.estimators import BoostedTreesClassifier
from platform_lib.boosters.libraries import LIBRARIES
from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.errors import UsageError
from platform_lib.model.artifact import predict
from platform_lib.model.trust import check_types
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.features import compose_pipeline, standard_features

COLUMNS = {
    "amount": Column(type="number", nullable=True),
    "count": Column(type="integer"),
    "city": Column(type="string", nullable=True, allowed=["Bari", "Enna", "Pisa", "Rome"]),
    "street": Column(type="string", nullable=True),
    "phone": Column(type="string", sensitive=True, log=False),
    "day": Column(type="datetime", nullable=True),
}
CITIES = ("Rome", "Pisa", "Bari", "Enna")


def contract_of(columns: dict[str, Column] | None = None, **settings: Any) -> DataContract:
    columns = (COLUMNS if columns is None else columns) | {"y": Column(type="string", allowed=["no", "yes"])}
    return DataContract(name="t", path="t.csv", task="classification", target="y", columns=columns, **settings)


def frame_of(contract: DataContract | None = None, rows: int = 80, **changed: Any) -> pd.DataFrame:
    table = {
        "amount": [None if row % 7 == 0 else row / 2 for row in range(rows)],
        "count": list(range(rows)),
        "city": [None if row % 9 == 0 else CITIES[row % 4] for row in range(rows)],
        "street": [None if row % 6 == 0 else f"street {row}" for row in range(rows)],
        "phone": [f"+49 {row % 3}" for row in range(rows)],
        "day": [None if row % 5 == 0 else f"2026-01-{row % 28 + 1:02}" for row in range(rows)],
    }
    return feature_frame(table | changed, contract or contract_of())


def truth_of(frame: pd.DataFrame) -> Any:
    return np.where(np.arange(len(frame)) % 4 < 2, "no", "yes").astype(object)


def composed(model: Any, features: Any = None, contract: DataContract | None = None, **settings: Any) -> Pipeline:
    contract = contract or contract_of()
    config = TrainConfig(data=contract, model=ModelConfig(name="m", **settings), gate=GateConfig(metric="accuracy"))
    return compose_pipeline(standard_features(contract) if features is None else features, model, config)


def fitted(model: Any, features: Any = None, **settings: Any) -> Pipeline:
    return composed(model, features, **settings).fit(frame_of(), truth_of(frame_of()))


def columns_of(pipeline: Pipeline, frame: pd.DataFrame) -> dict[str, list[float]]:
    numbers = pipeline[0].transform(frame)
    return {name: numbers[:, place].tolist() for place, name in enumerate(pipeline[0].get_feature_names_out())}


BOOSTING = HistGradientBoostingClassifier(max_iter=5)
BOOSTED = [BoostedTreesClassifier(name, params={"n_estimators": 5}) for name in LIBRARIES]
TREES = [BOOSTING, RandomForestClassifier(5), ExtraTreesClassifier(5), *BOOSTED]


@pytest.mark.parametrize("model", TREES, ids=lambda model: type(model).__name__)
def test_a_text_is_one_column_of_codes(model: Any) -> None:
    columns = columns_of(fitted(model), frame_of(rows=5))
    assert columns["category__city"] == pytest.approx([np.nan, 2.0, 0.0, 1.0, 3.0], nan_ok=True)
    assert len(columns["sensitive__phone"]) == 5 and len(set(columns["sensitive__phone"])) == 3


@pytest.mark.parametrize("model", TREES, ids=lambda model: type(model).__name__)
def test_missing_values_stay_missing(model: Any) -> None:
    columns = columns_of(fitted(model), frame_of(rows=6))
    for name, missing in (("nullable__amount", [0]), ("time__day_year", [0, 5]), ("category__city", [0])):
        assert np.flatnonzero(np.isnan(columns[name])).tolist() == missing


def test_boosting_gets_numbers_as_they_are_and_is_told_its_categories() -> None:
    pipeline = fitted(BOOSTING)
    assert columns_of(pipeline, frame_of(rows=3))["number__count"] == [0.0, 1.0, 2.0]
    names = pipeline[0].get_feature_names_out()
    assert names[np.flatnonzero(pipeline[-1].is_categorical_)].tolist() == ["category__city", "sensitive__phone"]


@pytest.mark.parametrize("model", BOOSTED, ids=lambda model: model.library)
def test_a_boosting_library_is_told_its_categories(model: Any) -> None:
    pipeline = fitted(model)
    names = pipeline[0].get_feature_names_out()
    assert names[pipeline[-1].categorical_features].tolist() == ["category__city", "sensitive__phone"]
    is_single = model.library != "lightgbm"
    assert (columns_of(pipeline, frame_of(rows=3))["number__count"] == [0.0, 1.0, 2.0]) is not is_single
    named = BoostedTreesClassifier(model.library, params={"n_estimators": 2}, categorical_features=[0])
    assert "category__city_Rome" in composed(named).named_steps.features.fit(frame_of()).get_feature_names_out()


def test_large_numbers_stay_distinct_in_a_forest_which_rounds_to_32_bits() -> None:
    contract = contract_of({"stamp": Column(type="integer")})
    frame = feature_frame({"stamp": [1_700_000_000 + row for row in range(64)]}, contract)
    pipeline = composed(RandomForestClassifier(5, bootstrap=False, random_state=0), contract=contract)
    assert pipeline.fit(frame, truth_of(frame)).score(frame, truth_of(frame)) == 1.0


@pytest.mark.parametrize(
    "model", [LogisticRegression(), GradientBoostingClassifier(n_estimators=3)], ids=lambda model: type(model).__name__
)
def test_an_estimator_without_native_categories_gets_one_column_per_category(model: Any) -> None:
    names = list(columns_of(fitted(model), frame_of()))
    assert [name for name in names if name.startswith("category__city")] == [
        f"category__city_{city}" for city in ("Bari", "Enna", "Pisa", "Rome", "nan")
    ]


def test_one_hot_is_for_every_estimator() -> None:
    assert "category__city_Rome" in columns_of(
        fitted(BOOSTING, standard_features(contract_of(), categories="one_hot")), frame_of()
    )


def test_another_choice_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"^features.categories is 'codes', expected one of auto, one_hot\.$"):
        standard_features(contract_of(), categories="codes")


def test_rare_categories_share_a_code_and_unknown_ones_are_missing() -> None:
    cities = ["Rome"] * 40 + ["Pisa"] * 34 + ["Bari", "Bari", "Bari", "Enna", "Enna", "Asti"]
    pipeline = composed(BOOSTING).fit(frame_of(city=cities), truth_of(frame_of()))
    codes = columns_of(pipeline, frame_of(rows=6, city=["Rome", "Bari", "Enna", "Asti", "Oslo", None]))
    rome, bari, enna, asti, oslo, none = codes["category__city"]
    assert rome != bari == enna == asti
    assert np.isnan([oslo, none]).all()


def test_texts_of_many_values_are_numbers_in_alphabetical_order_and_unknown_ones_come_first() -> None:
    for model in TREES:
        columns = columns_of(fitted(model), frame_of(rows=4, street=["street 11", "street 10", None, "other"]))
        first, second, missing, unknown = columns["ordered__street"]
        assert (first - second, unknown) == (1.0, -1.0) and np.isnan(missing)
    names = fitted(BOOSTING)[0].get_feature_names_out()
    assert "ordered__street" not in names[fitted(BOOSTING)[-1].is_categorical_]


def test_boosting_takes_more_categories_than_it_has_bins_for() -> None:
    names = [f"city {row % 400}" for row in range(2000)]
    contract = contract_of({"city": Column(type="string", sensitive=True, log=False)})
    frame = feature_frame({"city": names}, contract)
    for most, model in ((255, BOOSTING), (31, HistGradientBoostingClassifier(max_bins=31, max_iter=3))):
        pipeline = composed(model, standard_features(contract, min_frequency=None), contract=contract)
        codes = pipeline.fit(frame, truth_of(frame))[0].transform(frame)
        assert set(codes[:, 0]) == set(range(most))


def test_a_forest_takes_any_number_of_categories() -> None:
    contract = contract_of({"city": Column(type="string")})
    frame = feature_frame({"city": [f"city {row % 400}" for row in range(2000)]}, contract)
    pipeline = composed(RandomForestClassifier(3), contract=contract).fit(frame, truth_of(frame))
    assert len(set(pipeline[0].transform(frame)[:, 0])) == 400


def test_categories_with_a_few_rows_each_are_learned() -> None:
    """One column per category could not be split on: a leaf needs 20 rows."""
    contract = contract_of({"month": Column(type="string", allowed=sorted({f"month {row}" for row in range(60)}))})
    frame = feature_frame({"month": [f"month {row % 60}" for row in range(720)]}, contract)
    truth = np.array(["no", "yes"], dtype=object)[np.arange(720) % 60 % 2]
    scores = [
        composed(HistGradientBoostingClassifier(), standard_features(contract, categories=how), contract=contract)
        .fit(frame, truth)
        .score(frame, truth)
        for how in ("auto", "one_hot")
    ]
    assert scores[0] == 1.0 > scores[1]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("model", TREES, ids=lambda model: type(model).__name__)
def test_a_column_that_is_all_missing_can_be_fitted_and_predicted(name: str, model: Any) -> None:
    contract = contract_of({key: msgspec.structs.replace(column, nullable=True) for key, column in COLUMNS.items()})
    gone: dict[str, Any] = {name: [None] * 80}
    empty = frame_of(contract, **gone)
    pipeline = composed(clone(model), contract=contract).fit(empty, truth_of(empty))
    assert np.isfinite(pipeline.predict_proba(frame_of(contract))).all()


def test_a_column_with_a_few_values_in_many_rows_can_be_boosted() -> None:
    """Its values may all be outside the rows that the booster chooses its bins from."""
    contract = contract_of({"x": Column(type="number", nullable=True), "z": Column(type="number")})
    table = {"x": [1.0, 2.0] + [None] * 11_998, "z": list(range(12_000))}
    frame = feature_frame(table, contract)
    for seed in range(5):
        model = HistGradientBoostingClassifier(max_iter=2, random_state=seed, validation_fraction=0.5)
        composed(model, contract=contract).fit(frame, truth_of(frame))


def test_a_value_that_was_never_missing_in_training_may_be_missing_when_predicting() -> None:
    for model in TREES:
        pipeline = fitted(model)
        gone = frame_of(rows=2, count=[None, 1], phone=[None, "+49 9"])
        assert np.isfinite(pipeline.predict_proba(gone)).all()


def ratio(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(ratio=frame["count"] / 2, place=frame["city"])


def test_columns_that_the_users_steps_add_are_native_too() -> None:
    standard = standard_features(contract_of(), new_numbers=["ratio"], new_categories=["place"])
    pipeline = fitted(BOOSTING, make_pipeline(FunctionTransformer(ratio), standard))
    inner = pipeline[0][-1]
    numbers = pd.DataFrame(pipeline[0].transform(frame_of(rows=3)), columns=inner.get_feature_names_out())
    assert numbers["number__ratio"].tolist() == [0.0, 0.5, 1.0]
    assert numbers["category__place"].tolist() == pytest.approx(numbers["category__city"].tolist(), nan_ok=True)
    assert pipeline[-1].is_categorical_.sum() == 3


def test_steps_after_the_standard_features_get_one_column_per_category() -> None:
    pipeline = fitted(BOOSTING, make_pipeline(standard_features(contract_of()), SelectKBest(k=4)))
    assert pipeline[-1].is_categorical_ is None and pipeline[-1].n_features_in_ == 4


def test_a_model_that_names_its_categories_keeps_its_features() -> None:
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[0])
    assert "category__city_Rome" in columns_of(fitted(model), frame_of())


def test_a_group_that_the_user_replaced_keeps_all_groups() -> None:
    features = standard_features(contract_of()).set_params(number="drop")
    assert "category__city_Rome" in columns_of(fitted(BOOSTING, features), frame_of())


@pytest.mark.parametrize(
    ("model", "settings"),
    [(CalibratedClassifierCV(BOOSTING), {}), (BOOSTING, {"threshold": 0.3})],
    ids=["calibrated", "threshold"],
)
def test_a_booster_inside_another_estimator_is_told_its_categories(model: Any, settings: dict[str, Any]) -> None:
    pipeline = fitted(model, **settings)
    assert "category__city" in columns_of(pipeline, frame_of())
    inner = pipeline[-1].estimator
    assert np.flatnonzero(inner.categorical_features).tolist() == [2, 4]


def test_what_the_user_built_can_be_used_again() -> None:
    features, model = standard_features(contract_of()), HistGradientBoostingClassifier(max_iter=3)
    first = fitted(model, features)
    second = fitted(LogisticRegression(), features)
    third = fitted(model, features)
    assert columns_of(first, frame_of()).keys() == columns_of(third, frame_of()).keys()
    assert "category__city_Rome" in columns_of(second, frame_of())
    assert model.categorical_features == "from_dtype"


@pytest.mark.parametrize(
    "model",
    [*TREES, CalibratedClassifierCV(BOOSTING), LogisticRegression()],
    ids=lambda model: type(model).__name__,
)
def test_the_fitted_pipeline_loads_from_a_trusted_model_file(model: Any, tmp_path: Path) -> None:
    pipeline = fitted(model)
    skops.io.dump(pipeline, tmp_path / "model.skops")
    again = skops.io.load(tmp_path / "model.skops", trusted=check_types(tmp_path / "model.skops", package=None))
    assert predict(again, frame_of()).probabilities.tolist() == predict(pipeline, frame_of()).probabilities.tolist()  # type: ignore[union-attr]


def test_a_model_file_of_boosting_does_not_hold_sensitive_texts(tmp_path: Path) -> None:
    skops.io.dump(fitted(BOOSTING), tmp_path / "model.skops", compression=0)
    content = (tmp_path / "model.skops").read_bytes()
    assert "+49".encode("utf-32-le") not in content and b"+49" not in content


def test_regression_takes_categories_as_well() -> None:
    pipeline = composed(HistGradientBoostingRegressor(max_iter=3)).fit(frame_of(), np.arange(80.0))
    assert pipeline[-1].is_categorical_.sum() == 2
