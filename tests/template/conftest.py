"""The template as users get it, rendered from today's files. `updates/` holds the tests of its releases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from tests.conftest import REPOSITORY


@pytest.fixture(scope="session")
def questions() -> dict[str, Any]:
    """The questions of copier.yml that are asked."""
    entries = yaml.safe_load((REPOSITORY / "copier.yml").read_text(encoding="utf-8"))
    return {
        name: entry for name, entry in entries.items() if not name.startswith("_") and entry.get("when") is not False
    }


@pytest.fixture(scope="session")
def render(template_source: Path) -> Callable[..., Path]:
    """`render(folder, **answers)`: render a project from today's files, without a commit, in 0.1 s."""

    def run(folder: Path, **answers: str) -> Path:
        copier.run_copy(str(template_source), folder, data=answers, defaults=True, quiet=True)
        return folder

    return run
