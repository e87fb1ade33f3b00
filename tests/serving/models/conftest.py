"""Fixtures for the loader: two good artifacts, a registry of folders, a loader without a polling thread."""

from pathlib import Path

import pytest

from platform_lib.registry.reference import Reference
from platform_lib.serving.models.loader import ModelLoader
from tests.serving.sample_models import FolderRegistry, fitted, write_artifact


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("artifacts")
    return {
        version: (folder / version, write_artifact(folder / version, fitted(seed=int(version))))
        for version in ("1", "2")
    }


@pytest.fixture
def registry() -> FolderRegistry:
    return FolderRegistry()


@pytest.fixture
def loader(registry: FolderRegistry) -> ModelLoader:
    return ModelLoader(registry, Reference("people", alias="champion"), package=None)
