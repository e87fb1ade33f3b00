"""The two models of the serving benchmarks, with what a registered version has: fitted pipeline, contract and profile.

Both are small and take a second or two to make. iris: 4 numbers, StandardScaler and LogisticRegression. mixed: 14
numbers (4 with missing values), 2 integers and 4 strings with missing values; ColumnTransformer (impute, scale,
one-hot) and HistGradientBoosting of 100 iterations.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from platform_lib.data.contract import Column, DataContract, dump_contract
from platform_lib.data.frame import feature_frame
from platform_lib.model.artifact import file_sha256, predict
from platform_lib.model.profile import build_profile, parse_profile
from platform_lib.model.reference_answers import build_reference_answers, write_reference_answers
from platform_lib.names import ArtifactFile
from platform_lib.registry.model_files import requirements

ROWS = 2000
GAPS = 0.1


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """A fitted model, and rows to predict."""

    name: str
    pipeline: Pipeline
    contract: DataContract
    rows: list[dict[str, Any]]
    """As callers send them; the model was fitted on them."""


def iris() -> BenchmarkModel:
    """Make the model `iris`: four numeric columns."""
    data = load_iris()
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    columns = {name: Column(type="number") for name in names}
    contract = DataContract(
        name="iris",
        path="iris.csv",
        task="classification",
        target="species",
        columns={**columns, "species": Column(type="string")},
    )
    rows = [dict(zip(names, row, strict=True)) for row in data.data.tolist()]
    pipeline = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=500))])
    return BenchmarkModel(
        "iris", pipeline.fit(_frame(rows, contract), data.target_names[data.target].astype(object)), contract, rows
    )


def mixed() -> BenchmarkModel:
    """Make the model `mixed`: twenty columns of three types, with missing values."""
    random = np.random.default_rng(0)
    numbers = [f"n{place}" for place in range(14)]
    wholes, texts = ["w0", "w1"], [f"t{place}" for place in range(4)]
    columns = {name: Column(type="number", nullable=place < 4) for place, name in enumerate(numbers)}
    columns |= {name: Column(type="integer") for name in wholes} | {
        name: Column(type="string", nullable=True) for name in texts
    }
    contract = DataContract(
        name="mixed",
        path="mixed.csv",
        task="classification",
        target="y",
        columns={**columns, "y": Column(type="string")},
    )
    rows: list[dict[str, Any]] = [
        dict[str, Any](
            (name, None if place < 4 and random.random() < GAPS else float(random.normal()))
            for place, name in enumerate(numbers)
        )
        | {name: int(random.integers(0, 100)) for name in wholes}
        | {name: None if random.random() < GAPS else f"v{int(random.integers(0, 8))}" for name in texts}
        for _ in range(ROWS)
    ]
    signal = np.array([row["n5"] + 0.02 * row["w0"] + (row["t0"] == "v1") + random.normal(scale=0.5) for row in rows])
    features = ColumnTransformer(
        [
            (
                "numbers",
                Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())]),
                [*numbers, *wholes],
            ),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ]
    )
    pipeline = Pipeline(
        [("features", features), ("model", HistGradientBoostingClassifier(max_iter=100, random_state=0))]
    )
    truth = np.where(signal > np.median(signal), "yes", "no").astype(object)
    return BenchmarkModel("mixed", pipeline.fit(_frame(rows, contract), truth), contract, rows)


def _frame(rows: list[dict[str, Any]], contract: DataContract) -> Any:
    return feature_frame({name: [row[name] for row in rows] for name in contract.features}, contract)


def write_version(model: BenchmarkModel, folder: Path) -> str:
    """Write the files of a version that serving reads, as training does; return the SHA-256 of the model file."""
    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model.pipeline, folder / ArtifactFile.MODEL)
    (folder / ArtifactFile.CONTRACT).write_text(dump_contract(model.contract), encoding="utf-8")
    frame = _frame(model.rows, model.contract)
    profile = build_profile(frame, predict(model.pipeline, frame), model.contract)
    (folder / ArtifactFile.PROFILE).write_text(json.dumps(profile), encoding="utf-8")
    example = {"columns": list(model.rows[0]), "data": [list(row.values()) for row in model.rows[:3]]}
    (folder / "input_example.json").write_text(json.dumps(example), encoding="utf-8")
    write_reference_answers(
        build_reference_answers(model.pipeline, frame, model.contract, parse_profile(profile)), folder
    )
    (folder / "requirements.txt").write_text("\n".join(requirements([])), encoding="utf-8")
    return file_sha256(folder / ArtifactFile.MODEL)
