"""Projects of old releases pass their own tests after an update, with the current library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import commit_all
from tests.template.updates.conftest import Generate, Update
from tests.template.updates.edits import own_version, shared_texts, uv_add
from tests.template.updates.history import FIRST, LATEST

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("tag", [FIRST, LATEST])
def test_the_tests_of_an_updated_project_pass(
    generate_release: Generate, update: Update, tmp_path: Path, tag: str
) -> None:
    """The seeds are as old as the release: their code, tests and configuration must work with the new library."""
    folder = generate_release(tmp_path / "project", tag)
    for edit in (uv_add, own_version, shared_texts):
        edit(folder)
    commit_all(folder, "edits")
    update(folder)
    commit_all(folder, "update")
    # The notebook's test starts a kernel, which takes longer than all others.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--deselect", "tests/test_notebook.py"]
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
