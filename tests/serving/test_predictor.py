"""No training–serving skew: rows get the same predictions alone, in a batch and offline.

Nothing in `serving` can fit a model.
"""

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from sklearn.pipeline import Pipeline

from platform_lib.model.artifact import category_text, predict
from platform_lib.serving.models.example import example_row
from platform_lib.serving.predictor import as_json, predict_rows
from tests.conftest import REPOSITORY
from tests.serving.protocols.random_rows import any_rows
from tests.serving.sample_models import CLASSIFICATION, REGRESSION, fitted, frame_of, loaded


@pytest.fixture(scope="module")
def classifier() -> Pipeline:
    return fitted()


@pytest.fixture(scope="module")
def regressor() -> Pipeline:
    return fitted(REGRESSION)


def close(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-300)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some=any_rows(CLASSIFICATION))
def test_classes_are_the_same_one_by_one_batched_and_offline(some: list[dict[str, Any]], classifier: Pipeline) -> None:
    model = loaded(classifier)
    together = as_json(predict_rows(model, some))
    alone = [as_json(predict_rows(model, [row])) for row in some]
    offline = predict(classifier, frame_of(some, CLASSIFICATION))
    assert together["predictions"] == [answer["predictions"][0] for answer in alone] == offline.values.tolist()
    assert offline.probabilities is not None
    for row, answer in enumerate(alone):
        for name, expected in zip(offline.classes, offline.probabilities[row], strict=True):
            assert close(answer["probabilities"][0][name], expected)
            assert close(together["probabilities"][row][name], expected)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some=any_rows(REGRESSION))
def test_numbers_are_the_same_one_by_one_batched_and_offline(some: list[dict[str, Any]], regressor: Pipeline) -> None:
    model = loaded(regressor, REGRESSION)
    together = as_json(predict_rows(model, some))["predictions"]
    offline = predict(regressor, frame_of(some, REGRESSION)).values.tolist()
    for row, expected in enumerate(offline):
        assert close(together[row], expected)
        assert close(as_json(predict_rows(model, [some[row]]))["predictions"][0], expected)


@pytest.mark.parametrize(
    ("label", "text"),
    [("Genf", "Genf"), (3, "3"), (3.0, "3"), (2.5, "2.5"), (True, "true"), (np.False_, "false"), (np.int64(4), "4")],
    ids=repr,
)
def test_a_label_has_one_spelling(label: Any, text: str) -> None:
    assert category_text(label) == text


def test_an_example_row_is_derived_from_the_contract_if_none_was_stored(classifier: Pipeline, tmp_path: Path) -> None:
    row = example_row(CLASSIFICATION, tmp_path)
    assert row == {
        "age": 54,
        "income": 500000.0,
        "vip": True,
        "town": "Bern",
        "joined": "2026-01-31T12:00:00",
        "score": 0.0,
        "secret": "text",
    }
    predict_rows(loaded(classifier), [row])


def test_an_example_row_is_the_stored_one_without_unlogged_columns(tmp_path: Path) -> None:
    (tmp_path / "input_example.json").write_text(
        '{"columns": ["age", "income", "vip", "town", "joined", "score", "secret"], '
        '"data": [[44.0, null, 1.0, "Zug", "2024-05-06T07:08:09", 0.25, "hidden"]]}',
        encoding="utf-8",
    )
    assert example_row(CLASSIFICATION, tmp_path) == {
        "age": 44,
        "income": 500000.0,
        "vip": True,
        "town": "Zug",
        "joined": "2024-05-06T07:08:09",
        "score": 0.25,
        "secret": "text",
    }


def test_nothing_in_serving_calls_fit() -> None:
    found = []
    for file in sorted((REPOSITORY / "platform_lib" / "serving").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and (node.attr.startswith("fit") or node.attr == "partial_fit"):
                found.append(f"{file.name}:{node.lineno} {node.attr}")
    assert found == []
