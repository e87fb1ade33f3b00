"""Models for the server's tests: every column type, missing values allowed, fitted in under a second."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from platform_lib.data.contract import Column, DataContract, dump_contract
from platform_lib.data.frame import feature_frame
from platform_lib.errors import NotFound, ServiceError
from platform_lib.model.artifact import LoadedModel, Predictions, file_sha256
from platform_lib.model.reference_answers import ReferenceAnswers, build_reference_answers, write_reference_answers
from platform_lib.names import ArtifactFile
from platform_lib.registry.reference import Reference
from platform_lib.serving.models.example import example_row
from platform_lib.serving.models.registry_client import ResolvedVersion
from platform_lib.serving.models.served_model import LoaderState, ServedModel, Source
from platform_lib.serving.predictor import predict_rows
from platform_lib.training.features import standard_features

COLUMNS = {
    "age": Column(type="integer", nullable=True, min=18, max=90),
    "income": Column(type="number", nullable=True, min=0.0, max=1e6),
    "vip": Column(type="boolean", nullable=True),
    "town": Column(type="string", nullable=True, allowed=["Bern", "Genf", "Zug"]),
    "joined": Column(type="datetime", nullable=True),
    "score": Column(type="number", min=-1.0, max=1.0),
    "secret": Column(type="string", log=False),
}
CLASSIFICATION = DataContract(
    name="people",
    path="data/people.csv",
    task="classification",
    target="churned",
    id="key",
    columns={"key": Column(type="string"), **COLUMNS, "churned": Column(type="string", allowed=["maybe", "no", "yes"])},
)
REGRESSION = DataContract(
    name="people",
    path="data/people.csv",
    task="regression",
    target="spent",
    columns={**COLUMNS, "spent": Column(type="number")},
)


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Valid rows as a caller sends them."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        made.append(
            {
                "age": None if number % 7 == 0 else int(random.integers(18, 90)),
                "income": None if number % 5 == 0 else float(random.uniform(0, 1e5)),
                "vip": None if number % 11 == 0 else bool(random.integers(2)),
                "town": None if number % 6 == 0 else str(random.choice(["Bern", "Genf", "Zug"])),
                "joined": None
                if number % 9 == 0
                else f"20{random.integers(10, 26)}-0{random.integers(1, 10)}-15T08:30:00",
                "score": float(random.uniform(-1, 1)),
                "secret": str(random.choice(["a", "b"])),
            }
        )
    return made


def frame_of(some: list[dict[str, Any]], contract: DataContract) -> pd.DataFrame:
    """The features of rows, offline."""
    return feature_frame({name: [row[name] for row in some] for name in contract.features}, contract)


def fitted(contract: DataContract = CLASSIFICATION, seed: int = 0) -> Pipeline:
    """A pipeline of the library's own features; each seed gives another model."""
    frame = frame_of(rows(200, seed), contract)
    signal = frame["score"].to_numpy() + np.random.default_rng(seed).normal(scale=0.3, size=200)
    model, truth = (
        (Ridge(), signal)
        if contract.task == "regression"
        else (LogisticRegression(max_iter=200), np.array(["no", "maybe", "yes"])[np.digitize(signal, [-0.3, 0.3])])
    )
    pipeline = Pipeline([("features", standard_features(contract)), ("model", model)])
    return pipeline.fit(frame, truth)


def loaded(pipeline: Any, contract: DataContract = CLASSIFICATION, version: str = "1") -> LoadedModel:
    return LoadedModel(name="people", version=version, pipeline=pipeline, contract=contract, sha256="0" * 64)


def _sample(model: LoadedModel, example: dict[str, Any]) -> Predictions:
    """Predict the example with a real pipeline; return zeros for a double that only fails or blocks."""
    return predict_rows(model, [example]) if isinstance(model.pipeline, Pipeline) else Predictions(np.zeros(1), None)


class StubPipeline:
    """A pipeline of one step that calls a given function: to fail, to block, or to return something odd."""

    def __init__(self, predict: Any) -> None:
        self.predict = predict

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _place: int) -> "StubPipeline":
        return self


class FixedSource:
    """A source that serves one given model, or none: the application without a loader."""

    def __init__(self, model: LoadedModel | None) -> None:
        served = None
        if model is not None:
            example = example_row(model.contract)
            served = ServedModel(
                model=model,
                tags={"mlp.dirty": "false"},
                example=example,
                example_prediction=_sample(model, example),
                profile=None,
                since=datetime(2026, 1, 2, tzinfo=UTC),
            )
        self.state = LoaderState(
            reference="people@champion", alias="champion", current=served, waiting_for="nothing was promoted yet."
        )

    @property
    def current(self) -> ServedModel | None:
        return self.state.current


def write_artifact(folder: Path, pipeline: Any, contract: DataContract = CLASSIFICATION) -> str:
    """Write the files that serving needs, without reference answers; return the model file's SHA-256 to register."""
    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(pipeline, folder / ArtifactFile.MODEL)
    (folder / ArtifactFile.CONTRACT).write_text(dump_contract(contract), encoding="utf-8")
    return file_sha256(folder / ArtifactFile.MODEL)


def write_answers(folder: Path, pipeline: Pipeline, contract: DataContract = CLASSIFICATION) -> ReferenceAnswers:
    """Add the reference answers that training writes."""
    answers = build_reference_answers(pipeline, frame_of(rows(200, seed=5), contract), contract)
    write_reference_answers(answers, folder)
    return answers


class FolderRegistry:
    """In-memory registry of artifact folders: versions, aliases, and a switch that takes it down."""

    def __init__(self) -> None:
        self.folders: dict[str, tuple[Path, str]] = {}
        self.tags: dict[str, str] = {}
        """Tags of every version, in addition to the model file's hash."""
        self.champion: str | None = None
        self.previous: str | None = None
        self.canary: str | None = None
        self.shadow: str | None = None
        self.percent: str | None = "50"
        self.down = False
        self.fetched: list[str] = []
        self.closed = False

    def add(self, version: str, folder: Path, sha256: str, *, promote: bool = True) -> None:
        self.folders[version] = (folder, sha256)
        self.champion = version if promote else self.champion

    def prepare(self, reference: Reference) -> None:
        pass

    def find(self, reference: Reference, *, known_version: str | None) -> ResolvedVersion | None:
        version = self.version_of(reference)
        if version == known_version:
            return None
        folder, sha256 = self.folders[version]

        def fetch(_target: Path) -> Path:
            self.fetched.append(version)
            return folder

        return ResolvedVersion(
            name="people",
            version=version,
            tags={"mlp.model_sha256": sha256, "mlp.gate": '{"passed": true}', **self.tags},
            fetch=fetch,
        )

    def version_of(self, reference: Reference) -> str:
        if self.down:
            raise ServiceError("the registry does not respond.")
        version = reference.version or getattr(self, str(reference.alias))
        if version not in self.folders:
            raise NotFound(f"the registry has no {reference} yet.")
        return str(version)

    def tag_of(self, reference: Reference, tag: str) -> str | None:
        if self.down:
            raise ServiceError("the registry does not respond.")
        assert tag == "mlp.percent"
        return self.percent

    def close(self) -> None:
        self.closed = True


def version_of(source: Source) -> str | None:
    """The version that a loader serves; None while it serves none."""
    return source.current.model.version if source.current else None
