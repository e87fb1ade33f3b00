"""The whole: every part is there or named with a reason, it survives JSON, and nothing of a private column is in it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import Perceptron
from sklearn.pipeline import Pipeline

from platform_lib.data.contract import Column
from platform_lib.metrics import take
from platform_lib.training.diagnostics.build import diagnose
from platform_lib.training.diagnostics.held_out import HeldOut
from platform_lib.training.diagnostics.summary import summary
from platform_lib.training.diagnostics.tables import Diagnostics
from tests.training.diagnostics.tables_of_rows import (
    Fitted,
    held_out_of,
    numbers,
    three_classes,
    two_classes,
)


@pytest.fixture(scope="module")
def two() -> Fitted:
    return two_classes()


@pytest.mark.parametrize(("made", "metric"), [(two_classes, "accuracy"), (three_classes, "log_loss"), (numbers, "mae")])
def test_every_part_is_computed_and_survives_json(made: Callable[[], Fitted], metric: str) -> None:
    fitted = made()

    found = diagnose(fitted.pipeline, fitted.rows, metric=metric, slices=["city"])

    assert found.not_computed == {}
    assert found.importances is not None
    assert found.importances.metric == ("mae" if metric == "mae" else "log_loss")
    assert found.slices is not None
    assert len(found.slices.configured) == 4
    assert found.worst_rows
    assert [part.feature for part in found.dependence][:2] == ["strong", "weak"]
    assert (found.classes is None) == (found.label_errors is None) == (metric == "mae")
    assert (found.numbers is None) == (metric != "mae")
    text = msgspec.json.encode(found)
    assert msgspec.json.decode(text, type=Diagnostics) == found
    assert len(text) < 100_000


def test_a_field_that_a_later_library_adds_does_not_matter(two: Fitted) -> None:
    found = diagnose(two.pipeline, two.rows, metric="accuracy")
    values = msgspec.to_builtins(found) | {"new": 1}

    assert msgspec.json.decode(msgspec.json.encode(values), type=Diagnostics) == found


def test_equal_rows_and_seeds_give_equal_diagnostics(two: Fitted) -> None:
    one, other = (diagnose(two.pipeline, two.rows, metric="accuracy", seed=7) for _ in range(2))

    assert one == other


class _Fails:
    """A pipeline that fails when it predicts."""

    def __len__(self) -> int:
        raise ZeroDivisionError("of secret-value")


def test_a_part_that_fails_is_named_and_the_others_are_computed(two: Fitted) -> None:
    pipeline: Any = _Fails()

    found = diagnose(pipeline, two.rows, metric="accuracy")

    assert set(found.not_computed) == {"importances", "dependence"}
    assert found.not_computed["importances"].endswith("of secret-value")
    assert found.classes is not None
    assert found.classes.curves
    assert found.slices is not None


def test_a_reason_does_not_quote_values_of_a_table_with_private_columns() -> None:
    pipeline: Any = _Fails()
    hidden = two_classes(city=Column(type="string", log=False))

    found = diagnose(pipeline, hidden.rows, metric="accuracy")

    assert "secret-value" not in msgspec.json.encode(found).decode()


def test_no_value_of_a_private_column_is_in_the_tables() -> None:
    made = two_classes(city=Column(type="string", sensitive=True, log=False), day=Column(type="datetime", log=False))

    text = msgspec.json.encode(diagnose(made.pipeline, made.rows, metric="accuracy", slices=["city", "day"])).decode()

    assert "Rome" not in text
    assert "2026-" not in text
    assert "group 1" in text
    assert "Rome" in msgspec.json.encode(_of_public_columns()).decode()


def _of_public_columns() -> Diagnostics:
    made = two_classes()
    return diagnose(made.pipeline, made.rows, metric="accuracy")


def test_a_model_without_probabilities_has_what_labels_allow(two: Fitted) -> None:
    pipeline = Pipeline([("features", two.pipeline[:-1]), ("model", Perceptron())])
    pipeline.fit(two.rows.frame, two.rows.truth)
    rows = held_out_of(pipeline, two.rows.frame, two.rows.truth, two.rows.contract)

    found = diagnose(pipeline, rows, metric="accuracy")

    assert set(found.not_computed) == {"curves", "thresholds", "dependence", "label_errors"}
    assert found.classes is not None
    assert found.classes.confusion
    assert found.importances is not None
    assert found.importances.metric == "accuracy"
    assert found.worst_rows[0].probability is None


@pytest.mark.parametrize("rows", [1, 2, 20])
@pytest.mark.parametrize("made", [two_classes, three_classes, numbers])
def test_few_rows_never_raise(made: Callable[..., Fitted], rows: int) -> None:
    fitted = made()
    few = _first(fitted.rows, rows)

    found = diagnose(fitted.pipeline, few, metric="r2" if made is numbers else "roc_auc")

    assert found.rows == rows
    assert "slices" in found.not_computed
    assert "nan" not in msgspec.json.encode(found).decode().lower().replace("finance", "")
    msgspec.json.decode(msgspec.json.encode(found), type=Diagnostics)


def _first(rows: HeldOut, count: int) -> HeldOut:
    return dataclasses.replace(
        rows,
        frame=rows.frame.iloc[:count],
        truth=rows.truth[:count],
        predictions=take(rows.predictions, np.arange(count)),
        table_rows=rows.table_rows[:count],
    )


class TestSummary:
    def test_it_names_the_strongest_features_and_the_weakest_slice(self, two: Fitted) -> None:
        lines = summary(diagnose(two.pipeline, two.rows, metric="accuracy"))

        assert len(lines) == 2
        assert lines[0].startswith("Strongest features, by how much worse log_loss gets without them: strong (0.")
        assert lines[1].startswith("Weakest slice: strong = [")
        assert lines[1].endswith("% elsewhere.")

    def test_it_says_when_no_slice_is_worse(self) -> None:
        made = numbers()

        lines = summary(diagnose(made.pipeline, made.rows, metric="mae"))

        assert lines[1] == "Weakest slice: none of 23 is worse than the rest by more than chance."

    def test_it_warns_of_probabilities_that_are_off(self, two: Fitted) -> None:
        sure = (two.rows.predictions.probabilities > 0.5).astype(np.float64) * 0.98 + 0.01  # type: ignore[union-attr, operator]
        rows = dataclasses.replace(two.rows, predictions=dataclasses.replace(two.rows.predictions, probabilities=sure))

        lines = summary(diagnose(two.pipeline, rows, metric="accuracy"))

        assert len(lines) == 3
        assert "Likely wrong labels: 2" in lines[2]
