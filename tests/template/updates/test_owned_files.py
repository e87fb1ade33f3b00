"""Files of the template that people edited all the same, when the template changes, renames or drops them."""

from pathlib import Path

import pytest

from platform_lib.project_checks.work_tree import check_work_tree
from platform_lib.settings import find_project
from tests.conftest import commit_all, git
from tests.template.updates.conftest import Generate, Update
from tests.template.updates.edits import append, replace
from tests.template.updates.history import NEXT, History

LATER = "v100.0.0"


@pytest.fixture
def dropped(history: History) -> None:
    """A release after the working tree, which renames one file of the template and drops another."""
    if LATER not in git(history.bare, "tag"):
        history.publish(LATER, renamed={"template/.dvcignore": "template/.dvcignore.old", "template/Dockerfile": None})


@pytest.mark.usefixtures("dropped")
def test_lines_in_a_renamed_file_move_with_it(generate_release: Generate, update: Update, tmp_path: Path) -> None:
    folder = generate_release(tmp_path / "project", NEXT)
    append(folder, ".dvcignore", "ours/\n")
    commit_all(folder, "edit")
    settled = update(folder, LATER)
    assert settled.moved == [(".dvcignore", ".dvcignore.old")]
    assert (folder / ".dvcignore.old").read_text(encoding="utf-8").endswith(".mlp/\nours/\n")
    assert not (folder / ".dvcignore").exists()


@pytest.mark.usefixtures("dropped")
def test_a_dropped_file_stays_if_it_was_changed(generate_release: Generate, update: Update, tmp_path: Path) -> None:
    folder = generate_release(tmp_path / "project", NEXT)
    append(folder, "Dockerfile", "LABEL team=churn\n")
    commit_all(folder, "edit")
    settled = update(folder, LATER)
    assert settled.kept == ["Dockerfile"]
    assert (folder / "Dockerfile").read_text(encoding="utf-8").endswith("LABEL team=churn\n")
    assert git(folder, "diff", "HEAD", "--name-only", "--", "Dockerfile") == ""


@pytest.mark.usefixtures("dropped")
def test_dropped_and_renamed_files_follow_the_template_if_nobody_changed_them(
    generate_release: Generate, update: Update, tmp_path: Path
) -> None:
    folder = generate_release(tmp_path / "project", NEXT)
    settled = update(folder, LATER)
    assert (settled.moved, settled.kept) == ([], [])
    assert not (folder / "Dockerfile").exists()
    assert (folder / ".dvcignore.old").is_file()


def test_a_line_that_both_changed_is_a_named_conflict_and_one_command_undoes_the_update(
    generate_release: Generate, update: Update, tmp_path: Path
) -> None:
    folder = generate_release(tmp_path / "project", "v0.1.0")
    replace(folder, "pyproject.toml", '@v0.1.0",', '@v0.1.0#egg=ours",')
    start, project = commit_all(folder, "edit"), find_project(folder)
    settled = update(folder)
    assert settled.conflicts == ["pyproject.toml"]
    assert [finding.text for finding in check_work_tree(project)] == ["unmerged: pyproject.toml."]
    git(folder, "reset", "-q", "--hard")
    assert git(folder, "status", "--porcelain", "--untracked-files=all") == ""
    assert git(folder, "rev-parse", "HEAD").strip() == start
