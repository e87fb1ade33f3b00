"""The template as users get it: rendered from its home address by Copier.

Git leads that address to a repository with a release history and today's working tree.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier
import plumbum
import pytest
import yaml

from tests.conftest import REPOSITORY, commit_all, git

HOME = "gh:cloud-ml-platform/cloud-ml-platform"
OLD, NEW = "v0.1.0", "v0.2.0"

# The text that v0.1.0 had instead of today's, in files of each class. Nothing is released yet, so the past is
# simulated.
PAST = [
    ("template/README.md.jinja", "Made with [Cloud ML Platform]", "Built with [Cloud ML Platform]"),
    (
        "template/README.md.jinja",
        "say where the [documentation](https://github.com/cloud-ml-platform/cloud-ml-platform/blob/main/docs/README.md) is, and list",
        "list",
    ),
    ("template/Makefile.jinja", "## Format the code", "## Tidy the code"),
    ("template/pyproject.toml.jinja", '    "ipykernel>=6.29",\n    "mypy>=1.13",\n', '    "mypy>=1.12",\n'),
    (
        "template/README.md.jinja",
        "This brings the next version of the template",
        "This brings a later version of the template",
    ),  # just above the marker
    ("template/.gitignore", ".env.*\n", ""),  # just above the marker
    ("template/pyproject.toml.jinja", 'pythonpath = ["src"]\n', ""),  # just above the marker
    ("template/.github/workflows/ci.yml", "timeout-minutes: 30", "timeout-minutes: 20"),
    (
        "template/{% if deploy_target != 'none' %}deploy{% endif %}/Pulumi.yaml.jinja",
        "Endpoint of the model",
        "Endpoint of the trained model",
    ),
    ("template/tests/test_data.py", "The table and its contract.", "The table."),
    ("copier.yml", "repository_owner:\n  type: str\n", "repository_owner:\n  type: str\n  when: false\n"),
]


@dataclass(frozen=True)
class Upstream:
    """The template's repository, behind its home address."""

    work: Path
    """A clone with a work tree, to add commits to."""
    bare: Path
    """What the home address leads to."""

    def publish(self, tag: str, replacements: list[tuple[str, str, str]]) -> None:
        """Commit today's files with some text replaced, and tag the commit."""
        for name in _tracked(self.work):
            (self.work / name).unlink()
        for name in _tracked(REPOSITORY, "--others", "--exclude-standard"):
            target = self.work / name
            if (REPOSITORY / name).is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, target)
        for name, today, then in [
            *replacements,
            ("pyproject.toml", 'version = "0.1.0.dev0"', f'version = "{tag[1:]}"'),
        ]:
            text = (self.work / name).read_text(encoding="utf-8")
            assert text.count(today) == 1, f"{name} does not hold {today!r} once"
            (self.work / name).write_text(text.replace(today, then), encoding="utf-8")
        commit_all(self.work, tag)
        git(self.work, "tag", "-a", tag, "-m", tag)
        git(self.work, "push", "-q", str(self.bare), "HEAD:refs/heads/main", "--tags")


def _tracked(folder: Path, *more: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", *more], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    return [name for name in listed.split("\0") if name]


def is_shallow() -> bool:
    return git(REPOSITORY, "rev-parse", "--is-shallow-repository").strip() == "true"


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The home address with v0.1.0 and v0.2.0 on top of this repository's own history."""
    base = tmp_path_factory.mktemp("upstream")
    repository = Upstream(base / "work", base / "cloud-ml-platform.git")
    git(
        base,
        "clone",
        "-q",
        "--no-hardlinks",
        "--no-tags",
        *(["--depth", "1"] if is_shallow() else []),
        REPOSITORY.as_uri(),
        str(repository.work),
    )
    git(base, "init", "-q", "--bare", "-b", "main", str(repository.bare))
    settings = {
        "COPIER_CACHE_DIR": str(base / "cache"),
        "COPIER_SETTINGS_PATH": str(base / "settings.yml"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{base.as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/cloud-ml-platform/",
        "UV_NO_GITHUB_FAST_PATH": "1",
    }
    (base / "settings.yml").write_text("{}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        # Copier's git runs with the environment that plumbum copied when it was imported.
        with plumbum.local.env(
            **{name: value for name, value in os.environ.items() if name.startswith(("GIT_", "COPIER_"))}
        ):
            repository.publish(OLD, PAST)
            repository.publish(NEW, [])
            yield repository


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


@pytest.fixture(scope="session")
def copy_release(upstream: Upstream) -> Callable[..., Path]:
    """`copy_release(folder, ref, **answers)`: a committed project from the home address."""

    def run(folder: Path, ref: str, **answers: str) -> Path:
        copier.run_copy(HOME, folder, data=answers, defaults=True, quiet=True, vcs_ref=ref)
        git(folder, "init", "-q", "-b", "main")
        commit_all(folder, "generated")
        return folder

    return run
