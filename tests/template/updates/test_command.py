"""`mlp update` as people run it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from platform_lib.names import ExitCode
from platform_lib.settings import find_project
from tests.conftest import Called, commit_all, git
from tests.template.updates.conftest import Generate
from tests.template.updates.edits import append, uv_add, write
from tests.template.updates.history import ADDRESS, FIRST, HOME, LATEST, NEXT, History

CallMlp = Callable[..., Called]
WHOLE = "v101.0.0"


def test_check_has_an_exit_code_of_its_own_where_there_is_a_newer_release(
    generate_release: Generate, tmp_path: Path, call_mlp: CallMlp
) -> None:
    old = find_project(generate_release(tmp_path / "old", FIRST))
    new = find_project(generate_release(tmp_path / "new", NEXT))
    append(old.root, "README.md", "not committed\n")
    found = call_mlp(old, "update", "--check")
    assert (found.code, FIRST in found.out, "Run `mlp update`." in found.out) == (ExitCode.UPDATE, True, True)
    assert call_mlp(old, "update", "--check", "--to", FIRST).code == ExitCode.OK
    newest = call_mlp(new, "update", "--check", "--to", NEXT)
    assert (newest.code, newest.out) == (0, f"The project is at {NEXT}, and there is no newer release.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "0.0.1"], f"{ADDRESS.replace('https://github.com/', '')} has no release v0.0.1. The latest are "),
        (["--to", "newest"], "'newest' is not a version: give one such as 0.2.0."),
        (["--to", FIRST], f"{FIRST} is older than {LATEST}, which this project has"),
        ([], "The repository has uncommitted changes (own.txt), so an update could not be undone."),
    ],
    ids=["unknown", "no-version", "older", "uncommitted"],
)
def test_what_cannot_be_updated_is_refused_in_one_sentence(
    generate_release: Generate, tmp_path: Path, call_mlp: CallMlp, arguments: list[str], message: str
) -> None:
    project = find_project(generate_release(tmp_path / "project", LATEST))
    write(project.root, "own.txt", "mine\n")
    refused = call_mlp(project, "update", *arguments)
    assert refused.code == ExitCode.USAGE
    assert message in refused.err
    assert git(project.root, "status", "--porcelain") == "?? own.txt\n"


def test_a_project_without_answers_is_told_what_is_missing(
    generate_release: Generate, tmp_path: Path, call_mlp: CallMlp
) -> None:
    project = find_project(generate_release(tmp_path / "project", LATEST))
    (project.root / ".copier-answers.yml").unlink()
    refused = call_mlp(project, "update", "--check")
    assert (refused.code, ".copier-answers.yml is missing" in refused.err) == (ExitCode.USAGE, True)


@pytest.mark.slow
def test_a_conflict_is_named_with_the_command_that_undoes_the_update(
    generate_release: Generate, tmp_path: Path, call_mlp: CallMlp
) -> None:
    project = find_project(generate_release(tmp_path / "project", FIRST))
    write(project.root, "Dockerfile", "FROM ours\n")
    write(project.root, "deploy/own.txt", "mine\n")
    start = commit_all(project.root, "edits")
    refused = call_mlp(project, "update", "--to", LATEST)
    assert refused.code == ExitCode.REFUSED
    assert refused.out.startswith("conflict: Dockerfile\n")
    assert refused.out.endswith("Undo the update: git reset --hard\n")
    git(project.root, "reset", "-q", "--hard")
    assert git(project.root, "status", "--porcelain", "--untracked-files=all") == ""
    assert git(project.root, "rev-parse", "HEAD").strip() == start


@pytest.mark.slow
def test_an_update_installs_the_library_checks_the_project_and_says_what_changed(
    history: History, generate_release: Generate, tmp_path: Path, call_mlp: CallMlp
) -> None:
    """From a folder to an address, in one command, with the library's real installation by uv."""
    history.publish(
        WHOLE,
        files=(".",),
        changes={
            "pyproject.toml": ('version = "0.1.0.dev0"', f'version = "{WHOLE[1:]}"'),
            "CHANGELOG.md": (
                "## Unreleased\n",
                f"## Unreleased\n\n## {WHOLE[1:]}\n\n### Added\n\n- Shorter waits. More.\n",
            ),
        },
    )
    git(tmp_path, "clone", "-q", history.bare.as_uri(), "clone")
    folder = generate_release(tmp_path / "project", LATEST)
    for name in (".copier-answers.yml", "pyproject.toml"):
        text = (folder / name).read_text(encoding="utf-8")
        text = text.replace(HOME, str(tmp_path / "clone"))
        write(folder, name, text.replace(ADDRESS, f"file://localhost{tmp_path / 'clone'}"))
    uv_add(folder)
    start = commit_all(folder, "edits")
    updated = call_mlp(find_project(folder), "update", "--source", HOME, "--to", WHOLE)
    assert updated.code == 0, updated
    assert "101.0.0:\n  Shorter waits.\n" in updated.out
    assert f"Updated from {LATEST} to {WHOLE}." in updated.out
    assert yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))["_src_path"] == HOME
    assert f"rev={WHOLE}" in (folder / "uv.lock").read_text(encoding="utf-8")
    assert git(folder, "diff", "--name-only") == ""
    git(folder, *updated.out.splitlines()[-1].partition(": git ")[2].split())
    assert git(folder, "rev-parse", "HEAD").strip() == start
    assert git(folder, "status", "--porcelain") == ""
