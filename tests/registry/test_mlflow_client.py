"""MLflow's own client predicts what this library does, also of one row alone."""

from io import StringIO
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import Predictions, predict
from platform_lib.model.profile import build_profile
from platform_lib.registry.model_files import ModelContent, write_model
from platform_lib.training.config.schema import GateConfig, ModelConfig, TrainConfig
from platform_lib.training.features import compose_pipeline, standard_features

CONTRACT = DataContract(
    name="t",
    path="t.csv",
    task="classification",
    target="y",
    columns={
        "amount": Column(type="number", nullable=True),
        "children": Column(type="integer", nullable=True),
        "rooms": Column(type="integer"),
        "member": Column(type="boolean", nullable=True),
        "owner": Column(type="boolean"),
        "city": Column(type="string", nullable=True),
        "day": Column(type="datetime", nullable=True),
        "y": Column(type="string"),
    },
)
ROWS = 60
TABLE = pd.DataFrame(
    {
        "amount": [None if row % 7 == 0 else row / 2 for row in range(ROWS)],
        "children": [None if row % 5 == 0 else row % 4 for row in range(ROWS)],
        "rooms": [row % 6 for row in range(ROWS)],
        "member": [None if row % 3 == 0 else row % 2 == 0 for row in range(ROWS)],
        "owner": [row % 4 > 1 for row in range(ROWS)],
        "city": [None if row % 9 == 0 else ("Rome", "Bari")[row % 2] for row in range(ROWS)],
        "day": pd.to_datetime(["NaT" if row % 8 == 0 else f"2026-01-{row % 28 + 1:02}" for row in range(ROWS)]),
    }
)
TABLES: dict[str, Any] = {
    "as read from CSV": lambda: pd.read_csv(StringIO(TABLE.to_csv(index=False)), parse_dates=["day"]),
    "nullable dtypes as objects": lambda: TABLE.convert_dtypes().astype(object).where(TABLE.notna(), None),
    "the features' own": lambda: feature_frame(TABLE, CONTRACT),
}


@pytest.fixture(scope="module", params=[LogisticRegression(), HistGradientBoostingClassifier(max_iter=5)], ids=repr)
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Predictions]:
    """A model's folder, and our own predictions of the table."""
    estimator: BaseEstimator = request.param
    frame = feature_frame(TABLE, CONTRACT)
    truth = np.array(["yes" if row % 4 > 1 or row % 7 == 3 else "no" for row in range(ROWS)], dtype=object)
    config = TrainConfig(data=CONTRACT, model=ModelConfig(name="m"), gate=GateConfig(metric="accuracy"))
    pipeline = compose_pipeline(standard_features(CONTRACT), estimator, config).fit(frame, truth)
    ours = predict(pipeline, frame)
    assert set(ours.values) == {"no", "yes"}
    content = ModelContent(
        pipeline=pipeline,
        contract=CONTRACT,
        example=frame,
        predictions=ours,
        profile=build_profile(frame, ours, CONTRACT),
        config_yaml="seed: 0\n",
        package=None,
    )
    folder = tmp_path_factory.mktemp("stored") / "model"
    write_model(content, folder, Model())
    return folder, ours


@pytest.mark.parametrize("kind", TABLES)
def test_the_client_predicts_what_we_do(stored: tuple[Path, Predictions], kind: str) -> None:
    folder, ours = stored
    said = mlflow.pyfunc.load_model(str(folder)).predict(TABLES[kind]())
    assert list(said) == list(ours.values)


def test_the_client_predicts_one_row_alone_as_among_others(stored: tuple[Path, Predictions]) -> None:
    folder, ours = stored
    model = mlflow.pyfunc.load_model(str(folder))
    for make in TABLES.values():
        table = make()
        assert [model.predict(table.iloc[[row]])[0] for row in range(0, 20)] == list(ours.values[:20])
