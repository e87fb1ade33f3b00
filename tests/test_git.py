"""The git wrapper returns the output, None, or an error with a remedy."""

from pathlib import Path

import pytest

from platform_lib import git
from platform_lib.errors import ServiceError, UsageError
from tests.conftest import commit_all
from tests.conftest import git as run_git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q")
    (tmp_path / "größe.txt").write_text("a\nb\n", encoding="utf-8")
    commit_all(tmp_path)
    return tmp_path


def test_it_returns_what_git_prints(repository: Path) -> None:
    assert git.output(repository, "show", "HEAD:größe.txt") == "a\nb\n"
    assert git.lines(repository, "show", "HEAD:größe.txt") == ["a", "b"]
    assert git.require(repository, "show", "HEAD:größe.txt") == "a\nb\n"
    assert git.succeeds(repository, "cat-file", "-e", "HEAD")


def test_a_failed_command_gives_none_or_an_error_with_gits_message(repository: Path) -> None:
    assert git.output(repository, "show", "HEAD:missing") is None
    assert git.lines(repository, "show", "HEAD:missing") == []
    assert not git.succeeds(repository, "show", "HEAD:missing")
    with pytest.raises(ServiceError, match=r"^`git show HEAD:missing` failed in .*: fatal: path 'missing' does not"):
        git.require(repository, "show", "HEAD:missing")


def test_without_git_only_commands_that_need_it_fail(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository / "empty"))
    assert git.output(repository, "status") is None
    with pytest.raises(UsageError, match=r"^git is not installed\. Install it"):
        git.require(repository, "status")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert git.output(tmp_path / "gone", "status") is None
    with pytest.raises(UsageError, match="gone does not exist"):
        git.require(tmp_path / "gone", "status")
