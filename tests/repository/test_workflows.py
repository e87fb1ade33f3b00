"""The repository's own workflows pass the validators that need no network."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def tool(name: str) -> str:
    """A program of the development environment."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is not in the development environment; run `make setup`"
    return found


def test_workflows_match_the_schema() -> None:
    subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)], check=True
    )


def test_workflows_pass_the_security_audit() -> None:
    done = subprocess.run(
        [tool("zizmor"), "--offline", "--strict-collection", "--no-progress", *map(str, WORKFLOWS)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.engine
def test_workflows_pass_actionlint(engine) -> None:  # type: ignore[no-untyped-def]
    subprocess.run([engine("actionlint"), *map(str, WORKFLOWS)], check=True)
