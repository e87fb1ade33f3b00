"""A tag becomes a release: its notes from CHANGELOG.md, and the distributions of its version."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.release_notes import release_notes
from tests.conftest import REPOSITORY
from tests.template.workflow_runner import run_job

CHANGELOG = """# Changelog

## Unreleased

- later

## 1.2.0 - 2026-11-30

### Added

- this

## [1.1.0]

- before

## 1.0.0
"""


def test_the_notes_are_the_section_of_the_version() -> None:
    assert release_notes("v1.2.0", CHANGELOG, "1.2.0") == "### Added\n\n- this\n"
    assert release_notes("v1.1.0", CHANGELOG, "1.1.0") == "- before\n"


@pytest.mark.parametrize(
    ("tag", "version", "says"),
    [
        ("v1.2.1", "1.2.0", "the tag is v1.2.1, but pyproject.toml has version 1.2.0"),
        ("v1.2", "1.2", "CHANGELOG.md has no section '## 1.2' with content"),
        ("v1.0.0", "1.0.0", "CHANGELOG.md has no section '## 1.0.0' with content"),
    ],
)
def test_a_tag_without_its_version_or_section_is_refused(tag: str, version: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        release_notes(tag, CHANGELOG, version)
    assert says in str(caught.value)


@pytest.mark.slow
def test_the_build_job_makes_notes_and_distributions_of_the_tags_version(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("platform_lib", "scripts"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    pyproject = folder / "pyproject.toml"
    lines = pyproject.read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("version = "))
    lines[place] = 'version = "1.2.0"'
    pyproject.write_text("\n".join(lines) + "\n", encoding="utf-8")
    programs = Path(sys.executable).parent

    def run(tag: str, place: Path) -> list[str]:
        place.mkdir()
        return run_job(
            REPOSITORY / ".github" / "workflows" / "release.yml",
            "build",
            folder=folder,
            env=lambda _: {
                **os.environ,
                "GITHUB_REF_NAME": tag,
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            },
            actions=frozenset({"actions/checkout", "actions/setup-python", "actions/upload-artifact"}),
            expressions={},
            temporary=place,
            already_done=frozenset({"Install uv"}),
        )

    with pytest.raises(AssertionError, match=r"the tag must be v1\.2\.0"):
        run("v1.3.0", tmp_path / "wrong")
    assert run("v1.2.0", tmp_path / "right") == ["Notes", "Build"]
    assert (folder / "notes.md").read_text(encoding="utf-8").strip() == "### Added\n\n- this"
    built = sorted(file.name for file in (folder / "dist").iterdir() if not file.name.startswith("."))
    assert built == ["platform_lib-1.2.0-py3-none-any.whl", "platform_lib-1.2.0.tar.gz"]
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(folder / "dist" / built[0])],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "platform_lib/ci/candidate.py" in listed
