"""The workflows of a generated project pass the validators that need no network."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.engines import need_engine
from tests.template.workflow_runner import run_job


@pytest.fixture(scope="module")
def workflows(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = render(tmp_path_factory.mktemp("workflows") / "project")
    return sorted((folder / ".github" / "workflows").iterdir())


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is not in the development environment; run `make setup`"
    return found


def test_there_is_a_ci_workflow_and_an_update_workflow(workflows: list[Path]) -> None:
    assert [file.name for file in workflows] == ["ci.yml", "update.yml"]


def test_workflows_match_the_schema(workflows: list[Path]) -> None:
    subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, workflows)], check=True
    )


def test_workflows_pass_the_security_audit(workflows: list[Path]) -> None:
    done = subprocess.run(
        [tool("zizmor"), "--offline", "--strict-collection", "--no-progress", *map(str, workflows)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.engine
def test_workflows_pass_actionlint(workflows: list[Path]) -> None:
    subprocess.run([need_engine("actionlint"), *map(str, workflows)], check=True)


def test_every_action_is_pinned_to_a_commit_with_its_version_in_a_comment(workflows: list[Path]) -> None:
    uses = [
        line.strip() for file in workflows for line in file.read_text(encoding="utf-8").splitlines() if "uses:" in line
    ]
    assert [
        line for line in uses if not re.fullmatch(r"(- )?uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    ] == []


def test_updates_are_skipped_until_an_app_is_configured(workflows: list[Path]) -> None:
    job = yaml.safe_load(workflows[1].read_text(encoding="utf-8"))["jobs"]["update"]
    assert job["if"] == "vars.UPDATE_APP_CLIENT_ID != ''"


@pytest.mark.parametrize("conflict", [False, True], ids=["clean", "conflict"])
def test_the_update_workflow_describes_its_changes(workflows: list[Path], tmp_path: Path, *, conflict: bool) -> None:
    """Its steps run with fakes for the programs that need the network; the tests of updates cover Copier's own part."""
    folder, programs = tmp_path / "project", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (folder / "Makefile").write_text("lock:\n\techo locked > locked.txt\n", encoding="utf-8")
    (programs / "uvx").write_text("#!/bin/sh\n", encoding="utf-8")
    unmerged = "echo README.md" if conflict else "true"
    (programs / "git").write_text(f'#!/bin/sh\nif [ "$1" = diff ]; then {unmerged}; fi\n', encoding="utf-8")
    for program in programs.iterdir():
        program.chmod(0o755)
    import os

    run_job(
        workflows[1],
        "update",
        folder=folder,
        env=lambda _: os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        actions=frozenset(
            {
                "actions/create-github-app-token",
                "actions/checkout",
                "astral-sh/setup-uv",
                "peter-evans/create-pull-request",
            }
        ),
        expressions={},
        temporary=tmp_path,
    )
    outputs = dict(line.split("=", 1) for line in (tmp_path / "github_output").read_text(encoding="utf-8").splitlines())
    assert outputs["draft"] == str(conflict).lower()
    assert ("- README.md" in Path(outputs["body"]).read_text(encoding="utf-8")) is conflict
    assert (folder / "locked.txt").exists() is not conflict
