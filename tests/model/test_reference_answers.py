"""The training process's predictions travel with the model and reveal a process that predicts differently."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from platform_lib.data.contract import columns_from_rows
from platform_lib.data.frame import feature_frame
from platform_lib.data.sample_rows import rows_as_sent
from platform_lib.errors import CheckFailed
from platform_lib.model.artifact import Predictions, predict
from platform_lib.model.reference_answers import (
    MOST_ROWS,
    ReferenceAnswers,
    build_reference_answers,
    first_difference,
    read_reference_answers,
    write_reference_answers,
)
from tests.serving.sample_models import CLASSIFICATION, REGRESSION, fitted, frame_of, rows


@pytest.fixture(scope="module")
def classifier() -> Pipeline:
    return fitted()


@pytest.fixture(scope="module")
def answers(classifier: Pipeline) -> ReferenceAnswers:
    return build_reference_answers(classifier, frame_of(rows(200, seed=5), CLASSIFICATION), CLASSIFICATION)


def again(pipeline: Pipeline, answers: ReferenceAnswers) -> Predictions:
    return predict(pipeline, feature_frame(columns_from_rows(answers.rows, CLASSIFICATION), CLASSIFICATION))


def test_the_stored_rows_give_the_frame_they_came_from() -> None:
    frame = frame_of(rows(50), CLASSIFICATION)
    sent = json.loads(json.dumps(rows_as_sent(frame, CLASSIFICATION)))
    back = frame_of(sent, CLASSIFICATION)
    shown = [name for name in CLASSIFICATION.features if CLASSIFICATION.columns[name].log]
    pd.testing.assert_frame_equal(back[shown], frame[shown])


def test_the_rows_cover_missing_values_and_labels_but_no_unlogged_column(answers: ReferenceAnswers) -> None:
    assert len(answers.rows) == MOST_ROWS
    for name in ("age", "income", "vip", "town", "joined"):
        assert {row[name] is None for row in answers.rows} == {True, False}
    assert set(answers.predictions) == {"no", "maybe", "yes"} == set(answers.classes)
    assert {row["secret"] for row in answers.rows} == {"text"}


@pytest.mark.parametrize("contract", [CLASSIFICATION, REGRESSION], ids=lambda contract: contract.task)
def test_the_same_pipeline_predicts_the_same_after_a_file_round_trip(contract: Any, tmp_path: Path) -> None:
    pipeline = fitted(contract)
    write_reference_answers(build_reference_answers(pipeline, frame_of(rows(60), contract), contract), tmp_path)
    kept = read_reference_answers(tmp_path)
    assert kept is not None
    given = predict(pipeline, feature_frame(columns_from_rows(kept.rows, contract), contract))
    assert first_difference(kept, given) is None
    assert kept.predictions == given.values.tolist()


def test_a_model_without_suitable_rows_has_no_reference_answers() -> None:
    columns = {**REGRESSION.columns, "score": msgspec.structs.replace(REGRESSION.columns["score"], nullable=False)}
    contract = msgspec.structs.replace(REGRESSION, columns=columns)
    frame = frame_of(rows(3), contract).assign(score=np.nan)
    assert build_reference_answers(fitted(REGRESSION), frame, contract).rows == []


def changed(answers: ReferenceAnswers, **change: Any) -> ReferenceAnswers:
    return msgspec.structs.replace(answers, **change)


def test_a_row_with_another_label_is_named_without_the_labels(classifier: Pipeline, answers: ReferenceAnswers) -> None:
    other = ["yes" if answers.predictions[0] != "yes" else "no", *answers.predictions[1:]]
    assert (
        first_difference(changed(answers, predictions=other), again(classifier, answers)) == "row 0 gets another class"
    )


@pytest.mark.parametrize(("factor", "is_same"), [(1 + 1e-8, False), (1 + 1e-11, True)], ids=["1e-8", "1e-11"])
def test_a_probability_may_differ_only_in_the_last_digits(
    factor: float, *, is_same: bool, classifier: Pipeline, answers: ReferenceAnswers
) -> None:
    assert answers.probabilities is not None
    other = [[answers.probabilities[0][0] * factor, *answers.probabilities[0][1:]], *answers.probabilities[1:]]
    difference = first_difference(changed(answers, probabilities=other), again(classifier, answers))
    assert (difference is None) == is_same
    assert is_same or str(difference).startswith("row 0 is answered a probability of ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ["no", "yes"]}, "it has other classes"),
        ({"probabilities": None}, "probabilities are new"),
        ({"predictions": []}, "answers instead of 0"),
        ({"probabilities": [[1.0]]}, "answers of shape"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_predictions_of_another_form_differ(
    change: dict[str, Any], words: str, classifier: Pipeline, answers: ReferenceAnswers
) -> None:
    assert words in str(first_difference(changed(answers, **change), again(classifier, answers)))


def test_a_number_is_compared_relative_to_its_size_and_missing_is_not_zero() -> None:
    kept = ReferenceAnswers(rows=[{}] * 3, predictions=[1e6, -2.0, 1e-9])
    assert first_difference(kept, Predictions(np.array([1e6 + 1e-5, -2.0, 3e-9]), None)) is None
    assert (
        first_difference(kept, Predictions(np.array([1e6, -2.00001, 1e-9]), None))
        == "row 1 is answered -2.00001 instead of -2.0"
    )
    assert (
        first_difference(kept, Predictions(np.array([1e6, -2.0, np.nan]), None))
        == "row 2 is answered nan instead of 1e-09"
    )


def test_an_older_version_has_no_reference_answers_and_a_broken_file_is_refused(tmp_path: Path) -> None:
    assert read_reference_answers(tmp_path) is None
    for text in ("{", '{"rows": 3, "predictions": []}', "[]"):
        (tmp_path / "answers.json").write_text(text, encoding="utf-8")
        with pytest.raises(CheckFailed, match=r"answers\.json cannot be read"):
            read_reference_answers(tmp_path)
