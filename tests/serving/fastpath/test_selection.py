"""The fast path is used only if it agrees with the pipeline, which predicts whatever it fails on."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from platform_lib.serving.fastpath.selection import select_fast_path
from tests.serving.fastpath.pipelines import Own, example, fit, on_numbers, proven
from tests.serving.sample_models import CLASSIFICATION, FixedSource, fitted, loaded, rows


def test_a_pipeline_without_covered_steps_has_no_fast_path() -> None:
    selection = select_fast_path(
        loaded(fit(Pipeline([("own", Own()), ("model", AdaBoostClassifier(n_estimators=2))]), "two")), example(), None
    )
    assert (selection.fast, selection.reason) == (None, "no family covers any of its steps.")


def add_ratio(frame: Any) -> Any:
    """A column more, as people add them."""
    return frame.assign(ratio=frame["age"] / (frame["income"].abs() + 1))


def test_a_first_step_that_returns_a_frame_leaves_the_model_fast() -> None:
    features = make_pipeline(FunctionTransformer(add_ratio), on_numbers(StandardScaler()))
    pipeline = fit(Pipeline([("features", features), ("model", LogisticRegression())]), "two")

    fast = proven(pipeline)

    assert fast.by_scikit_learn == ("features",)


def test_a_mismatch_disables_the_fast_path_and_says_where(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = fitted()
    assert select_fast_path(loaded(pipeline), example(), None).fast is not None
    monkeypatch.setattr(
        "platform_lib.serving.fastpath.families.linear.softmax", lambda scores: np.full(scores.shape, 1 / 3)
    )
    selection = select_fast_path(loaded(pipeline), example(), None)
    assert selection.fast is None
    assert selection.reason is not None and "differs from the pipeline: probe row 0: " in selection.reason
    assert "the pipeline alone serves version 1 of people" in caplog.text


def test_the_pipeline_predicts_rows_on_which_the_fast_path_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    model = loaded(fitted())
    served = FixedSource(model).current
    assert served is not None
    selection = select_fast_path(model, example(), None)
    assert selection.fast is not None

    def fails(_columns: Any) -> Any:
        raise ValueError("no")

    broken = replace(served, selection=replace(selection, fast=replace(selection.fast, predict_block=fails)))
    some = {name: [row[name] for row in rows(3)] for name in CLASSIFICATION.features}
    assert broken.predict(some).values.tolist() == model.predict(some).values.tolist()
