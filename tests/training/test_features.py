"""Feature steps: every column type, missing and unknown values, weights and thresholds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.errors import UsageError
from platform_lib.model.artifact import predict
from platform_lib.model.trust.check import check_types
from platform_lib.project.transformers import DateParts
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.features import compose_pipeline, standard_features

COLUMNS = {
    "amount": Column(type="number", nullable=True),
    "count": Column(type="integer"),
    "member": Column(type="boolean"),
    "city": Column(type="string", nullable=True),
    "day": Column(type="datetime", nullable=True),
}


def _contract(
    columns: dict[str, Column] | None = None, target: Column | None = None, task: Any = "classification"
) -> DataContract:
    label = target or Column(type="string", allowed=["no", "yes"])
    return DataContract(
        name="t", path="t.csv", task=task, target="y", columns={**(COLUMNS if columns is None else columns), "y": label}
    )


def _frame(contract: DataContract | None = None, **columns: list[Any]) -> pd.DataFrame:
    table = {
        "amount": [1.0, None, 3.0, 5.0],
        "count": [1, 2, 3, 4],
        "member": [True, False, True, True],
        "city": ["Rome", None, "Pisa", "Rome"],
        "day": ["2026-01-05", "2026-02-28T13:00:00", None, "2025-12-31"],
    }
    return feature_frame(table | columns, contract or _contract())


def _columns(features: Any, frame: pd.DataFrame) -> dict[str, list[float]]:
    numbers = features.fit_transform(frame)
    return {name: numbers[:, place].tolist() for place, name in enumerate(features.get_feature_names_out())}


def test_each_column_type_becomes_numbers() -> None:
    columns = _columns(standard_features(_contract(), scale=False, min_frequency=None), _frame())
    assert columns["nullable__amount"] == [1.0, 3.0, 3.0, 5.0]
    assert columns["nullable__missingindicator_amount"] == [0.0, 1.0, 0.0, 0.0]
    assert columns["number__count"] == [1.0, 2.0, 3.0, 4.0]
    assert columns["number__member"] == [1.0, 0.0, 1.0, 1.0]
    assert columns["category__city_Rome"] == [1.0, 0.0, 0.0, 1.0]
    assert columns["category__city_nan"] == [0.0, 1.0, 0.0, 0.0]
    assert columns["time__day_year"] == [2026.0, 2026.0, 2026.0, 2025.0]
    assert columns["time__day_weekday"] == [0.0, 5.0, 2.0, 2.0]
    assert columns["time__day_hour"] == [0.0, 13.0, 0.0, 0.0]


def test_numbers_are_scaled_unless_configured_otherwise() -> None:
    count = _columns(standard_features(_contract(), min_frequency=None), _frame())["number__count"]
    assert [np.mean(count), np.std(count)] == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(("how", "filled"), [("median", 3.0), ("mean", 3.0), ("most_frequent", 1.0)])
def test_imputation_is_configurable(how: str, filled: float) -> None:
    features = standard_features(_contract(), numeric_imputation=how, scale=False, min_frequency=None)
    assert _columns(features, _frame())["nullable__amount"][1] == filled


def test_unknown_and_rare_categories_share_a_column() -> None:
    cities = ["Rome"] * 6 + ["Pisa"] * 6 + ["Bari", "Enna"]
    table: dict[str, list[Any]] = {"city": cities}
    contract = _contract({"city": Column(type="string", nullable=True)})
    features = standard_features(contract, min_frequency=2).fit(feature_frame(table, contract))
    rows = features.transform(feature_frame({"city": ["Bari", "Enna", "Oslo", "Rome"]}, contract))
    assert rows[0].tolist() == rows[1].tolist() == rows[2].tolist() != rows[3].tolist()
    assert rows.sum(axis=1).tolist() == [1.0] * 4


def test_many_categories_are_limited() -> None:
    contract = _contract({"city": Column(type="string")})
    frame = feature_frame({"city": [f"city {i % 40}" for i in range(400)]}, contract)
    assert standard_features(contract, max_categories=10).fit_transform(frame).shape == (400, 10)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_is_all_missing_does_not_crash_and_keeps_its_place(name: str) -> None:
    contract = _contract({key: Column(type=column.type, nullable=True) for key, column in COLUMNS.items()})
    empty = _frame(contract, **{name: [None] * 4})
    features = standard_features(contract).fit(empty)
    full = features.transform(_frame(contract))
    assert np.isfinite(full).all()
    assert full.shape[1] == len(features.get_feature_names_out())


def test_a_missing_value_in_a_non_nullable_column_is_imputed_when_predicting() -> None:
    features = standard_features(_contract()).fit(_frame())
    assert np.isfinite(features.transform(_frame(count=[None, 2, 3, 4]))).all()


ODD = ["a.b c", 'quo"te', "{brace}", "年齢", "x__y"]


def test_unusual_column_names_work() -> None:
    contract = _contract({name: Column(type="number") for name in ODD})
    frame = feature_frame({name: [1.0, 2.0] for name in ODD}, contract)
    features = standard_features(contract).fit(frame)
    assert features.get_feature_names_out().tolist() == [f"number__{name}" for name in ODD]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"numeric_imputaton": "mean"},
            "conf/features sets 'numeric_imputaton', which standard_features does not know; it knows categories, ",
        ),
        (
            {"numeric_imputation": "zero"},
            "features.numeric_imputation is 'zero', expected one of median, mean, most_frequent.",
        ),
        (
            {"date_parts": ["minute"]},
            "features.date_parts is ['minute'], expected some of year, month, day, weekday, hour.",
        ),
        ({"min_frequency": 0}, "features.min_frequency is 0, expected"),
        ({"max_categories": 0.5}, "features.max_categories is 0.5, expected"),
        ({"scale": "yes"}, "features.scale is 'yes', expected true or false."),
    ],
    ids=["unknown", "imputation", "date-parts", "min-frequency", "max-categories", "scale"],
)
def test_an_invalid_setting_is_refused_in_one_sentence(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        standard_features(_contract(), **settings)
    assert says in str(caught.value)


def test_a_table_without_features_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        UsageError, match="the table 't' has no features: every column is the target, the id or the time"
    ):
        standard_features(_contract({}))


class TestDateParts:
    frame = pd.DataFrame({"at": np.array(["2026-03-01T05:00", "NaT"], dtype="datetime64[us]")})

    def test_a_missing_time_is_missing_in_each_part(self) -> None:
        parts = DateParts().fit_transform(self.frame)
        assert parts[0].tolist() == [2026.0, 3.0, 1.0, 6.0, 5.0]
        assert np.isnan(parts[1]).all()

    def test_parts_are_chosen_and_named(self) -> None:
        parts = DateParts(parts=("month", "hour")).fit(self.frame)
        assert parts.get_feature_names_out().tolist() == ["at_month", "at_hour"]
        assert parts.transform(self.frame)[0].tolist() == [3.0, 5.0]

    def test_it_can_be_cloned(self) -> None:
        assert clone(DateParts(parts=("day",))).get_params() == {"parts": ("day",)}


# The model's own settings


def _config(contract: DataContract, **model: Any) -> TrainConfig:
    return TrainConfig(data=contract, model=ModelConfig(name="m", **model), gate=GateConfig(metric="accuracy"))


def _rare(
    labels: tuple[Any, Any] = ("no", "yes"), target: Column | None = None
) -> tuple[DataContract, pd.DataFrame, Any]:
    """Two overlapping classes, the second rare."""
    contract = _contract({"x": Column(type="number")}, target)
    generator = np.random.default_rng(0)
    is_second = np.arange(400) % 10 == 0
    frame = feature_frame({"x": generator.normal(size=400) + 1.0 * is_second}, contract)
    kind = object if isinstance(labels[0], str) else None
    return contract, frame, np.array([labels[int(second)] for second in is_second], dtype=kind)


def _second(
    labels: tuple[Any, Any], contract: DataContract, frame: pd.DataFrame, truth: Any, **model: Any
) -> tuple[int, Any]:
    config = _config(contract, **model)
    estimator = LogisticRegression(class_weight=config.model.class_weight)
    answers = predict(compose_pipeline(standard_features(contract), estimator, config).fit(frame, truth), frame)
    return int((answers.values == labels[1]).sum()), answers


def test_class_weights_make_the_model_predict_the_rare_class_more_often() -> None:
    contract, frame, truth = _rare()
    plain, _ = _second(("no", "yes"), contract, frame, truth)
    balanced, _ = _second(("no", "yes"), contract, frame, truth, class_weight="balanced")
    mapped, _ = _second(("no", "yes"), contract, frame, truth, class_weight={"no": 1.0, "yes": 9.0})
    assert plain < 10 < 100 < balanced
    assert mapped == pytest.approx(balanced, abs=3)


LABELS = [
    pytest.param(("no", "yes"), Column(type="string", allowed=["yes", "no"]), id="text"),
    pytest.param((False, True), Column(type="boolean"), id="boolean"),
    pytest.param((3, 7), Column(type="integer", allowed=[3, 7]), id="integer"),
]


@pytest.mark.parametrize(("labels", "target"), LABELS)
def test_a_threshold_is_the_lowest_probability_that_predicts_the_second_class(
    labels: tuple[Any, Any], target: Column
) -> None:
    contract, frame, truth = _rare(labels, target)
    plain, before = _second(labels, contract, frame, truth)
    lowered, after = _second(labels, contract, frame, truth, threshold=0.1)
    assert lowered > plain
    assert after.classes == before.classes == labels
    assert after.probabilities.tolist() == before.probabilities.tolist()
    assert [bool(value) for value in after.values == labels[1]] == [bool(p >= 0.1) for p in before.probabilities[:, 1]]


def test_the_fitted_pipeline_loads_from_a_trusted_model_file(tmp_path: Path) -> None:
    config = _config(_contract(), threshold=0.3)
    pipeline = compose_pipeline(standard_features(_contract()), LogisticRegression(), config).fit(
        _frame(), np.array(["no", "yes", "no", "yes"], object)
    )
    skops.io.dump(pipeline, tmp_path / "model.skops")
    again = skops.io.load(tmp_path / "model.skops", trusted=check_types(tmp_path / "model.skops", package=None))
    expected, found = predict(pipeline, _frame()), predict(again, _frame())
    assert found.values.tolist() == expected.values.tolist()
    assert found.probabilities is not None and expected.probabilities is not None
    assert found.probabilities.tolist() == expected.probabilities.tolist()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            Column(type="string", allowed=["a", "b", "c"]),
            "is for two classes, but conf/data/t.yaml allows 3 labels of 'y': set it to null",
        ),
        (Column(type="string"), "allows unlisted labels of 'y': set it to null, or list the two labels there."),
    ],
    ids=["three", "unlisted"],
)
def test_a_threshold_is_refused_for_other_than_two_classes(target: Column, says: str) -> None:
    contract = _contract({"x": Column(type="number")}, target)
    with pytest.raises(UsageError) as caught:
        compose_pipeline(standard_features(contract), LogisticRegression(), _config(contract, threshold=0.3))
    assert says in str(caught.value)


def test_a_threshold_is_refused_for_regression() -> None:
    contract = _contract({"x": Column(type="number")}, Column(type="number"), task="regression")
    with pytest.raises(UsageError, match="the target 'y' is a number: set it to null"):
        compose_pipeline(standard_features(contract), LinearRegression(), _config(contract, threshold=0.3))


def test_a_threshold_is_refused_for_a_model_without_probabilities() -> None:
    from sklearn.svm import LinearSVC

    contract = _contract({"x": Column(type="number")})
    with pytest.raises(
        UsageError, match=r"LinearSVC gives no probabilities, so model\.threshold 0\.3 cannot be applied"
    ):
        compose_pipeline(standard_features(contract), LinearSVC(), _config(contract, threshold=0.3))
