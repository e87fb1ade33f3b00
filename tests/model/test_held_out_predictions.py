"""Predictions for the held-out rows are computed once, and again when pipeline or rows have changed."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from platform_lib.model.artifact import predict
from platform_lib.model.held_out_predictions import HeldOutPredictions

GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame(GENERATOR.normal(size=(1000, 3)), columns=["a", "b", "c"])
NUMBERS = FRAME.to_numpy() @ [1.0, -2.0, 0.5]


class Counting(LogisticRegression):  # type: ignore[misc]
    """Counts the rows that it predicts."""

    rows = 0

    def predict_proba(self, X: Any) -> Any:
        self.rows += len(X)
        return super().predict_proba(X)


def fitted(estimator: Any, *, shift: float = 0.0) -> Pipeline:
    numbers = NUMBERS + shift * FRAME["b"].to_numpy()
    truth = numbers if isinstance(estimator, LinearRegression) else np.where(numbers > 0, "yes", "no")
    return make_pipeline(estimator).fit(FRAME, truth)


def test_a_second_step_predicts_a_sample_only() -> None:
    pipeline, predictions = fitted(Counting()), HeldOutPredictions()
    first = predictions(pipeline, FRAME)
    before = pipeline[-1].rows
    assert predictions(pipeline, FRAME) is first
    assert pipeline[-1].rows - before == 200


@pytest.mark.parametrize("kind", [LogisticRegression, LinearRegression])
def test_a_pipeline_that_was_fitted_again_is_asked_again(kind: type) -> None:
    pipeline, predictions = fitted(kind()), HeldOutPredictions()
    first = predictions(pipeline, FRAME)
    pipeline.steps[-1] = ("again", fitted(kind(), shift=0.01)[-1])
    second = predictions(pipeline, FRAME)
    assert second is not first
    assert second.values.tolist() == predict(pipeline, FRAME).values.tolist()


def test_other_rows_and_other_pipelines_have_other_predictions() -> None:
    pipeline, predictions = fitted(LogisticRegression()), HeldOutPredictions()
    first = predictions(pipeline, FRAME)
    assert len(predictions(pipeline, FRAME.head(10)).values) == 10
    assert predictions(fitted(LogisticRegression()), FRAME) is not first
