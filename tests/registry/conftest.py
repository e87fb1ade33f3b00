"""An empty store, a model to register, and versions without files for tests of aliases."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from platform_lib.data.dataset import load_table
from platform_lib.model.artifact import predict
from platform_lib.model.profile import build_profile
from platform_lib.names import VersionTag
from platform_lib.registry import Reference, Registry, VersionRecord, load_model
from platform_lib.registry.model_files import ModelContent
from platform_lib.registry.store import ensure_database
from platform_lib.settings import Project

TAGS = {"mlp.git_commit": "c" * 40, "mlp.dirty": "false"}


def gate(*, passed: bool = True, score: float = 0.9, **more: Any) -> dict[str, str]:
    reasons = [] if passed else ["accuracy is 0.1, below 0.5"]
    verdict = {
        "passed": passed,
        "reasons": reasons,
        "metric": "accuracy",
        "score": score,
        "data": "sample",
        "target": "species",
    }
    return TAGS | {VersionTag.GATE: json.dumps(verdict | more)}


@pytest.fixture
def content(trained: Project) -> ModelContent:
    """A fitted pipeline to register again."""
    model = load_model("sample-model@champion", trained)
    from platform_lib.data.frame import feature_frame

    frame = feature_frame(load_table(project=trained), model.contract).head(20)
    predictions = predict(model.pipeline, frame)
    return ModelContent(
        pipeline=model.pipeline,
        contract=model.contract,
        example=frame,
        predictions=predictions,
        profile=build_profile(frame, predictions, model.contract),
        config_yaml="seed: 0\n",
        package="sample_model",
    )


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store to copy: creating one takes a second."""
    folder = tmp_path_factory.mktemp("store") / ".mlp"
    ensure_database(folder / "mlflow.db")
    return folder


@pytest.fixture
def registry(empty_store: Path, tmp_path: Path) -> Registry:
    import shutil

    shutil.copytree(empty_store, tmp_path / ".mlp")
    return Registry(f"sqlite:///{(tmp_path / '.mlp' / 'mlflow.db').as_posix()}")


def new_run(registry: Registry) -> str:
    return str(registry.client.create_run("0").info.run_id)


def bare_version(registry: Registry, tags: dict[str, str]) -> VersionRecord:
    """Register a version without files, for tests of aliases."""
    from mlflow.exceptions import MlflowException

    from platform_lib.registry.client import as_current_store

    with contextlib.suppress(MlflowException):
        registry.client.create_registered_model("tiny")
    with as_current_store(registry.uri):
        made = registry.client.create_model_version("tiny", source="file:///nowhere", tags=tags)
    return registry.resolve(Reference("tiny", version=str(made.version)))
