"""A pipeline that cannot be stored, or not answer a row by itself, is refused right after it was fitted."""

import enum
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from platform_lib.errors import CheckFailed, UntrustedModel
from platform_lib.training.servable import check_servable

ROWS = 40


class Colour(enum.Enum):
    RED = 1


class Keeps(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Keeps a value as fitted state."""

    def __init__(self, what: str = "list") -> None:
        self.what = what

    def fit(self, X: pd.DataFrame, y: Any = None) -> "Keeps":
        states: dict[str, Any] = {
            "series": X["a"],
            "tuple keys": {("a", 1): 2.0},
            "enum": Colour.RED,
            "list": [1.0, "a"],
            "array": np.arange(3),
        }
        self.kept_ = states[self.what]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return X[["a", "b"]]


class Dummies(Keeps):
    """Makes as many columns as the batch has categories."""

    def transform(self, X: pd.DataFrame) -> Any:
        return pd.get_dummies(X["city"], dtype=float).to_numpy()


class Centred(Keeps):
    """Subtracts the mean of the batch."""

    def transform(self, X: pd.DataFrame) -> Any:
        return X[["a", "b"]] - X[["a", "b"]].mean()


def fitted(*features: Any, model: Any = None) -> tuple[Pipeline, pd.DataFrame]:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({name: generator.normal(size=ROWS) for name in "ab"})
    frame["city"] = np.array(["Rome", "Pisa"], dtype=object)[np.arange(ROWS) % 2]
    truth = np.array(["no", "yes"], dtype=object)[(frame["a"] > 0).astype(int)]
    model = LogisticRegression() if model is None else model
    if isinstance(model, LinearRegression):
        truth = frame["a"].to_numpy()
    return Pipeline([("features", make_pipeline(*features)), ("model", model)]).fit(frame, truth), frame


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("series", "`kept_` of Keeps, a pandas.*Series, cannot be written"),
        ("tuple keys", "`kept_` of Keeps, a builtins.dict, cannot be written"),
        ("enum", "`kept_` of Keeps, a tests.training.test_servable.Colour, cannot be written"),
    ],
)
def test_state_that_cannot_be_stored_is_named(state: str, says: str) -> None:
    nested = ColumnTransformer([("own", Keeps(state), ["a", "b"])])
    pipeline, frame = fitted(nested, StandardScaler())

    with pytest.raises(CheckFailed) as refused:
        check_servable(pipeline, frame, package="tests")

    assert re.search(says, str(refused.value))


@pytest.mark.parametrize("model", [None, LinearRegression(), BaggingClassifier(LogisticRegression(), n_estimators=2)])
@pytest.mark.parametrize("state", ["list", "array"])
def test_plain_state_passes(state: str, model: Any) -> None:
    pipeline, frame = fitted(Keeps(state), StandardScaler(), model=model)

    check_servable(pipeline, frame, package="tests")


def test_a_step_that_cannot_transform_one_row_is_refused() -> None:
    pipeline, frame = fitted(Dummies())

    with pytest.raises(CheckFailed, match="predicts 20 rows together, but row 0 alone fails"):
        check_servable(pipeline, frame, package="tests")


@pytest.mark.parametrize("model", [LogisticRegression(), LinearRegression()])
def test_a_prediction_that_depends_on_other_rows_is_refused(model: Any) -> None:
    pipeline, frame = fitted(Centred(), model=model)

    with pytest.raises(CheckFailed, match="the prediction for row 0 depends on the other rows of a batch"):
        check_servable(pipeline, frame, package="tests")


def test_untrusted_types_are_named_before_anything_else_is_computed() -> None:
    pipeline, frame = fitted(Keeps(), FunctionTransformer(np.abs), StandardScaler())
    with pytest.raises(UntrustedModel, match="Keeps"):
        check_servable(pipeline, frame, package=None)
