"""A model file, and the package whose types are in it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model.trust.model_files import own_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.skops"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `ownmodel` on the import path, whose `features` leaves a marker when it is imported."""
    folder = tmp_path / "src" / "ownmodel"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "features.py").write_text(
        "from os import system\n"
        "from pathlib import Path\n"
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        f"Path({str(tmp_path / 'imported')!r}).touch()\n"
        "class Scale(TransformerMixin, BaseEstimator):\n"
        "    def __init__(self, mode=None): self.mode = mode\n"
        "    def fit(self, X, y=None): return self\n"
        "    def transform(self, X): return X\n"
        "class Run:\n"
        f"    def __init__(self, *args): Path({str(tmp_path / 'ran')!r}).touch()\n"
        "def double(X): return X * 2\n"
        "rebound = double\n"
        "def rebound(X): return X\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "ownmodel"]:
        del sys.modules[name]


@pytest.fixture
def genuine(own: Path, path: Path) -> Path:
    """A model with types of the own package, before somebody edits it."""
    return own_model(path)
