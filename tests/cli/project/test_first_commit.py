"""The last step of `make setup`: create a repository and a first commit if there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from platform_lib.cli.project.first_commit import IDENTITY_MISSING, first_commit
from platform_lib.errors import UsageError
from tests.conftest import commit_all, git


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.mlp]\nmodel = "x"\n', encoding="utf-8")
    return tmp_path


def test_a_folder_becomes_a_repository_with_all_files_in_its_first_commit(folder: Path) -> None:
    (folder / ".gitignore").write_text(".venv/\n", encoding="utf-8")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "x").touch()
    assert first_commit(folder) == ["Created a git repository.", "Created the first commit."]
    assert git(folder, "ls-files").split() == [".gitignore", "pyproject.toml"]
    assert git(folder, "branch", "--show-current").strip() == "main"


def test_a_repository_with_a_commit_is_unchanged(folder: Path) -> None:
    git(folder, "init", "-q")
    commit = commit_all(folder)
    (folder / "new.txt").touch()
    assert first_commit(folder) == []
    assert git(folder, "rev-parse", "HEAD").strip() == commit
    assert git(folder, "status", "--porcelain").strip() == "?? new.txt"


def test_a_repository_in_a_parent_folder_does_not_count(folder: Path) -> None:
    git(folder, "init", "-q")
    commit_all(folder)
    (folder / "inner").mkdir()
    (folder / "inner" / "a.txt").touch()
    assert first_commit(folder / "inner") == ["Created a git repository.", "Created the first commit."]
    assert git(folder / "inner", "ls-files").split() == ["a.txt"]


def test_without_an_identity_it_says_what_to_type_and_a_second_run_succeeds(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path_factory.mktemp("git") / "config"
    settings.write_text("[user]\n    useConfigOnly = true\n", encoding="utf-8")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    with pytest.raises(UsageError) as caught:
        first_commit(folder)
    assert str(caught.value) == IDENTITY_MISSING
    settings.write_text("[user]\n    name = A\n    email = a@example.invalid\n", encoding="utf-8")
    assert first_commit(folder) == ["Created the first commit."]


def test_without_git_it_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
    with pytest.raises(UsageError, match="git is not installed"):
        first_commit(folder)


def test_make_runs_it_as_a_module(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "platform_lib.cli.project.first_commit"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines() == ["Created a git repository.", "Created the first commit."]
