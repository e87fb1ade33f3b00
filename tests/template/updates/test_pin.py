"""The pin of the library and the stored source, for every place that a template can be copied from."""

from pathlib import Path

import copier
import pytest
import yaml

from tests.conftest import git
from tests.template.updates.history import ADDRESS, HOME, NEXT, RELEASES, History


@pytest.fixture
def clone(history: History, tmp_path: Path) -> Path:
    """A folder with the template and its tags."""
    git(tmp_path, "clone", "-q", history.bare.as_uri(), "clone")
    return tmp_path / "clone"


def pin_of(folder: Path) -> str:
    lines = (folder / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if "platform-lib[" in line)


@pytest.mark.parametrize("source", [HOME, f"{ADDRESS}.git", f"git+{ADDRESS}"], ids=["short", "https", "git+https"])
@pytest.mark.usefixtures("history")
def test_a_release_of_an_address_is_pinned_by_its_tag(tmp_path: Path, source: str) -> None:
    copier.run_copy(source, tmp_path / "project", defaults=True, quiet=True, vcs_ref=NEXT)
    assert pin_of(tmp_path / "project") == f'"platform-lib[training] @ git+{ADDRESS}@{NEXT}",'


def test_a_release_of_a_folder_is_pinned_by_its_tag(clone: Path, tmp_path: Path) -> None:
    copier.run_copy(str(clone), tmp_path / "project", defaults=True, quiet=True, vcs_ref=NEXT)
    assert pin_of(tmp_path / "project") == f'"platform-lib[training] @ git+file://localhost{clone.as_posix()}@{NEXT}",'


def test_an_unreleased_commit_of_an_address_is_pinned_by_its_hash(history: History, tmp_path: Path) -> None:
    tree = git(history.bare, "rev-parse", f"{NEXT}^{{tree}}").strip()
    commit = git(history.bare, "commit-tree", "-p", f"{NEXT}^{{commit}}", "-m", "after the release", tree).strip()
    git(history.bare, "update-ref", "refs/heads/later", commit)
    copier.run_copy(HOME, tmp_path / "project", defaults=True, quiet=True, vcs_ref=commit)
    assert pin_of(tmp_path / "project") == f'"platform-lib[training] @ git+{ADDRESS}@{commit}",'


def test_a_relative_source_folder_is_stored_as_an_absolute_path(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README says `copier copy . ../project`, and `.` would mean nothing to the update."""
    monkeypatch.chdir(clone)
    commit = git(clone, "commit-tree", "-p", "HEAD", "-m", "after the release", "HEAD^{tree}").strip()
    copier.run_copy(".", tmp_path / "project", defaults=True, quiet=True, vcs_ref=commit)
    answers = yaml.safe_load((tmp_path / "project" / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["_src_path"] == str(clone.resolve())
    assert pin_of(tmp_path / "project") == f'"platform-lib[training] @ {clone.resolve().as_uri()}",'


@pytest.mark.usefixtures("all_releases")
def test_the_releases_are_commits_of_this_history_in_order() -> None:
    commits = list(RELEASES.values())
    for earlier, later in zip(commits, [*commits[1:], "HEAD"], strict=True):
        git(Path(__file__).parent, "merge-base", "--is-ancestor", earlier, later)
