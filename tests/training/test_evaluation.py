"""Evaluation on held-out rows: metrics, slices, confusion matrix and residuals."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.data.slices import slice_values
from platform_lib.model.artifact import Predictions
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.evaluation import Evaluation, SliceResult, measure

COLUMNS = {
    "city": Column(type="string", nullable=True),
    "size": Column(type="number", nullable=True),
    "member": Column(type="boolean"),
    "day": Column(type="datetime"),
}
ROWS = 80


def _config(task: Any = "classification", slices: list[str] | None = None) -> TrainConfig:
    contract = DataContract(
        name="t",
        path="t.csv",
        task=task,
        target="y",
        columns={**COLUMNS, "y": Column(type="string" if task == "classification" else "number")},
    )
    metric = "accuracy" if task == "classification" else "mae"
    return TrainConfig(data=contract, model=ModelConfig(name="m"), gate=GateConfig(metric=metric), slices=slices or [])


def _frame(config: TrainConfig) -> pd.DataFrame:
    return feature_frame(
        {
            "city": ["Rome"] * 40 + ["Pisa"] * 35 + [None] * 5,
            "size": [*range(ROWS - 1), None],
            "member": [i % 2 == 0 for i in range(ROWS)],
            "day": pd.date_range("2026-01-01", periods=ROWS),
        },
        config.data,
    )


TRUTH = np.array(["yes" if i % 4 == 0 else "no" for i in range(ROWS)], dtype=object)


def _answers() -> Predictions:
    """Predict correctly for Rome and `no` everywhere else."""
    return Predictions(np.where(np.arange(ROWS) < 40, TRUTH, "no").astype(object), None, ("no", "yes"))


def _measured(slices: list[str]) -> Evaluation:
    config = _config(slices=slices)
    return measure(_answers(), _frame(config), TRUTH, config)


def _of(evaluation: Evaluation, column: str) -> dict[str, SliceResult]:
    return {part.value: part for part in evaluation.slices if part.column == column}


def test_without_probabilities_only_label_metrics_are_computed_and_the_others_say_why() -> None:
    evaluation = _measured([])
    assert evaluation.rows == ROWS
    assert evaluation.metrics == {
        "accuracy": 0.875,
        "balanced_accuracy": 0.75,
        "f1_macro": pytest.approx((120 / 130 + 20 / 30) / 2),
        "f1": pytest.approx(2 / 3),
        "precision": 1.0,
        "recall": 0.5,
        "mcc": pytest.approx(np.sqrt(3 / 7)),
    }
    assert set(evaluation.not_computed) == {"roc_auc", "average_precision", "log_loss", "log_loss_skill", "brier"}
    assert "no probabilities" in evaluation.not_computed["roc_auc"]
    assert evaluation.standard_errors["accuracy"] == pytest.approx(np.sqrt(0.875 * 0.125 / ROWS), rel=0.15)


def test_a_slice_is_evaluated_on_its_own_rows() -> None:
    parts = _of(_measured(["city"]), "city")
    assert {value: (part.rows, part.small) for value, part in parts.items()} == {
        "Pisa": (35, False),
        "Rome": (40, False),
        "missing": (5, True),
    }
    assert parts["Rome"].metrics["accuracy"] == 1.0
    assert parts["Pisa"].metrics["balanced_accuracy"] == 0.5


@pytest.mark.parametrize("mark", [{"log": False}, {"sensitive": True}], ids=str)
def test_slices_of_a_private_column_are_numbered_instead_of_named(mark: dict[str, bool]) -> None:
    config = _config(slices=["city", "size"])
    columns = {
        name: msgspec.structs.replace(column, **mark) for name, column in config.data.columns.items() if name != "y"
    }
    data = msgspec.structs.replace(config.data, columns={**columns, "y": config.data.columns["y"]})
    config = msgspec.structs.replace(config, data=data)
    evaluation = measure(_answers(), _frame(config), TRUTH, config)
    assert [part.value for part in evaluation.slices if part.column == "city"] == ["group 1", "group 2", "missing"]
    assert [part.value for part in evaluation.slices if part.column == "size"][:2] == ["group 1", "group 2"]
    assert not [name for name in ("Rome", "Pisa") if name in msgspec.json.encode(evaluation).decode()]


def test_a_metric_that_is_undefined_on_a_slice_is_omitted_there() -> None:
    one_class = np.where(np.arange(ROWS) < 40, "no", TRUTH).astype(object)
    config = _config(slices=["city"])
    parts = _of(measure(Predictions(one_class, None, ("no", "yes")), _frame(config), one_class, config), "city")
    assert parts["Rome"].metrics == {"accuracy": 1.0}


@pytest.mark.parametrize("column", ["size", "day"])
def test_many_numbers_or_times_are_sliced_into_quarters(column: str) -> None:
    parts = _of(_measured([column]), column)
    assert sum(part.rows for part in parts.values()) == ROWS
    assert [part.rows for value, part in parts.items() if value != "missing"] == pytest.approx([20] * 4, abs=1)


def test_slices_have_readable_names() -> None:
    evaluation = _measured(["size", "day", "member"])
    assert list(_of(evaluation, "size")) == ["< 19", "[19, 39)", "[39, 58)", ">= 58", "missing"]
    assert next(iter(_of(evaluation, "day"))) == "< 2026-01-20"
    assert list(_of(evaluation, "member")) == ["false", "true"]


def test_the_rarest_of_many_values_share_one_slice() -> None:
    values = slice_values(pd.Series([f"c{i:02}" for i in range(25)] * 2 + ["c24"], dtype=object))
    assert len(values.cat.categories) == 22
    assert int((values == "other").sum()) == 10


def test_a_text_that_reads_other_or_missing_is_still_counted() -> None:
    values = slice_values(pd.Series(["other", "missing", None, "a"], dtype=object))
    assert values.tolist() == ["other", "missing", "missing", "a"]


def test_the_confusion_matrix_counts_true_by_predicted() -> None:
    confusion = _measured([]).confusion
    assert confusion is not None
    assert (confusion.labels, confusion.counts) == (["no", "yes"], [[60, 0], [10, 10]])


def test_a_class_that_is_never_predicted_is_in_the_confusion_matrix() -> None:
    config = _config()
    truth = TRUTH.copy()
    truth[0] = "maybe"
    confusion = measure(_answers(), _frame(config), truth, config).confusion
    assert confusion is not None
    assert (confusion.labels, confusion.counts[2]) == (["no", "yes", "maybe"], [0, 1, 0])


def test_residuals_are_prediction_minus_truth_with_the_worst_rows_first() -> None:
    config = _config("regression")
    truth = np.arange(80.0)
    predicted = truth + 1
    predicted[[7, 3]] = truth[[7, 3]] + [-9, 5]
    residuals = measure(Predictions(predicted, None), _frame(config), truth, config).residuals
    assert residuals is not None
    assert residuals.mean == pytest.approx((78 - 9 + 5) / 80)
    assert (residuals.quantiles["0"], residuals.quantiles["0.5"], residuals.quantiles["1"]) == (-9.0, 1.0, 5.0)
    assert [(worst.row, worst.residual) for worst in residuals.worst[:2]] == [(7, -9.0), (3, 5.0)]
    assert len(residuals.worst) == 10


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_an_evaluation_survives_a_json_round_trip(task: str) -> None:
    config = _config(task, ["city"])
    truth = TRUTH if task == "classification" else np.arange(80.0)
    answers = _answers() if task == "classification" else Predictions(truth + 1, None)
    evaluation = measure(answers, _frame(config), truth, config)
    assert msgspec.json.decode(msgspec.json.encode(evaluation), type=Evaluation) == evaluation


def test_predictions_that_are_not_numbers_give_no_residuals_and_no_metrics() -> None:
    config = _config("regression")
    evaluation = measure(Predictions(np.full(80, np.nan), None), _frame(config), np.arange(80.0), config)
    assert (evaluation.metrics, evaluation.residuals) == ({}, None)
    assert "80 predictions are NaN or infinite" in evaluation.not_computed["mae"]
