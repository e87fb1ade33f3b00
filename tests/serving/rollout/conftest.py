"""Fixtures for rollouts: three good artifacts in a registry, version 1 as the champion."""

from pathlib import Path

import pytest

from tests.serving.sample_models import FolderRegistry, fitted, write_artifact


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("artifacts")
    return {
        version: (folder / version, write_artifact(folder / version, fitted(seed=int(version))))
        for version in ("1", "2", "3")
    }


@pytest.fixture
def registry(artifacts: dict[str, tuple[Path, str]]) -> FolderRegistry:
    made = FolderRegistry()
    for version, artifact in artifacts.items():
        made.add(version, *artifact, promote=version == "1")
    return made
