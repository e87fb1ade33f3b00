"""After a training, ignored columns and scores that are too good are named."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from platform_lib.data.contract import Column, DataContract
from platform_lib.training.config.schema import GateConfig, ModelConfig, SplitConfig, TrainConfig
from platform_lib.training.evaluation import evaluate
from platform_lib.training.features import standard_features
from platform_lib.training.notices import key_notices, training_notices
from platform_lib.training.steps import Rows

ROWS = 200
CONTRACT = DataContract(
    name="t",
    path="t.csv",
    task="classification",
    target="y",
    columns={
        "a": Column(type="number"),
        "b": Column(type="number"),
        "city": Column(type="string"),
        "y": Column(type="string", allowed=["no", "yes"]),
    },
)
CONFIG = TrainConfig(data=CONTRACT, model=ModelConfig(name="logistic"), gate=GateConfig(metric="accuracy"))


def rows(*, is_leaking: bool = False) -> Rows:
    generator = np.random.default_rng(0)
    truth = np.array(["no", "yes"], dtype=object)[generator.integers(0, 2, ROWS)]
    frame = pd.DataFrame({name: generator.normal(size=ROWS) for name in "ab"})
    frame["city"] = np.array(["Rome", "Pisa"], dtype=object)[generator.integers(0, 2, ROWS)]
    if is_leaking:
        frame["b"] += np.where(truth == "yes", 50.0, -50.0)
    return Rows(frame=frame, truth=truth)


def notices(features: Any, held_out: Rows) -> tuple[str, ...]:
    pipeline = Pipeline([("features", features), ("model", LogisticRegression())])
    pipeline.fit(held_out.frame, held_out.truth)
    return training_notices(pipeline, held_out, evaluate(pipeline, held_out.frame, held_out.truth, CONFIG), CONFIG)


def add(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(ratio=frame["a"] / (1 + frame["b"] ** 2), region=frame["city"] + "!")


def test_a_column_that_the_model_ignores_is_named() -> None:
    features = make_pipeline(FunctionTransformer(add), standard_features(CONTRACT))

    (notice,) = notices(features, rows())

    assert notice.startswith("The model does not use 'ratio', 'region', which features.py adds")


@pytest.mark.parametrize(
    "features",
    [
        make_pipeline(
            FunctionTransformer(add), standard_features(CONTRACT, new_numbers=["ratio"], new_categories=["region"])
        ),
        ColumnTransformer([("a", StandardScaler(), ["a"])]),
        make_pipeline(
            FunctionTransformer(add),
            ColumnTransformer([("n", StandardScaler(), slice(0, 2)), ("r", StandardScaler(), [3])], remainder="drop"),
            StandardScaler(),
        ),
    ],
    ids=["passed", "contract only", "by position"],
)
def test_what_is_used_or_left_out_of_the_contract_is_not_named(features: Any) -> None:
    assert [text for text in notices(features, rows()) if "'ratio'" in text] == []


def test_a_score_that_is_too_good_names_the_column_it_comes_from() -> None:
    (notice,) = notices(standard_features(CONTRACT), rows(is_leaking=True))

    assert "balanced_accuracy of 1 is seldom honest, and most of it comes from 'b'" in notice


def test_an_old_key_that_makes_the_score_wrong_is_named() -> None:
    table = pd.DataFrame({"a": [1.0, 1.0, 2.0], "b": 0.0, "city": "Rome", "y": ["no", "yes", "no"]})

    def said(table: pd.DataFrame, *key: str, **split: Any) -> tuple[str, ...]:
        data = msgspec.structs.replace(CONTRACT, key=list(key))
        return key_notices(table, msgspec.structs.replace(CONFIG, data=data, split=SplitConfig(**split)))

    assert said(table, "a", "b", "city", "y")[0].startswith("The held-out score is wrong: the key of conf/data/t.yaml")
    assert said(table, "a", "b", "city") == said(table[1:], "a", "b", "city", "y") == ()
    assert said(table, "y", method="group", column="city") == ()
