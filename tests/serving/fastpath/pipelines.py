"""Fitted pipelines for the fast path's tests, and the comparison with scikit-learn."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.rows import rows_of
from platform_lib.model.probe_rows import probe_rows
from platform_lib.serving.fastpath.parity import difference
from platform_lib.serving.fastpath.plan import FastPath, plan
from platform_lib.serving.models.example import example_row
from tests.serving.sample_models import CLASSIFICATION, frame_of, loaded, rows

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
    """The fast path after a comparison on probe rows and on rows it was not fitted on."""
    fast = plan(pipeline, contract)
    asked = probe_rows(contract, rows_of([example_row(contract)], contract)[0], None)
    if contract is CLASSIFICATION:
        asked += rows_of(rows(40, seed=99), contract)
    assert difference(loaded(pipeline, contract).predict, fast.predict, asked, contract) is None
    return fast


def numeric(*steps: Any) -> Pipeline:
    """Steps for numeric columns after imputation."""
    named = [(f"s{place}", step) for place, step in enumerate(steps)]
    return Pipeline([("impute", SimpleImputer()), *named])


def on_numbers(*steps: Any) -> ColumnTransformer:
    return ColumnTransformer([("n", numeric(*steps), NUMBERS)])


def example() -> tuple[Any, ...]:
    return rows_of([example_row(CLASSIFICATION)], CLASSIFICATION)[0]


def regression() -> DataContract:
    return DataContract(
        name="people",
        path="x",
        task="regression",
        target="y",
        columns={**CLASSIFICATION.columns, "y": Column(type="number")},
    )


class Own(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A user's transformer, which requires a data frame."""

    def fit(self, X: Any, y: Any = None) -> "Own":
        del y
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X[["score"]].to_numpy() * 2 + (X["town"] == "Bern").to_numpy()[:, None]
