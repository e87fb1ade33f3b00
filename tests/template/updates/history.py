"""A small repository with every release of the template as an annotated tag, and the working tree as the next one.

It is built from git's objects, without checkouts, and holds only what Copier reads: cloning it takes milliseconds.
"""

import os
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import plumbum
import pytest

from platform_lib.updates.copier_command import git_environment
from tests.conftest import REPOSITORY, git

HOME = "gh:cloud-ml-platform/cloud-ml-platform"
ADDRESS = "https://github.com/cloud-ml-platform/cloud-ml-platform"
NEXT = "v99.0.0"
READ_BY_COPIER = ("copier.yml", "template", "CHANGELOG.md")
RELEASES: dict[str, str] = {
    f"v{release['version']}": release["commit"]
    for release in tomllib.loads((REPOSITORY / "tests" / "template" / "releases.toml").read_text(encoding="utf-8"))[
        "release"
    ]
}
"""Tag → commit, oldest first."""
FIRST, LATEST = min(RELEASES), max(RELEASES)


@dataclass(frozen=True)
class History:
    """The template's repository, behind its home address."""

    bare: Path

    def publish(
        self,
        tag: str,
        source: str | None = None,
        changes: dict[str, tuple[str, str]] | None = None,
        renamed: dict[str, str | None] | None = None,
        files: tuple[str, ...] = READ_BY_COPIER,
    ) -> None:
        """Add a commit with an annotated tag.

        Args:
            tag: Such as `v0.1.0`.
            source: The commit whose files are published; None takes the working tree.
            changes: File → text that is replaced in it, and its replacement.
            renamed: File → its new name, or None if it is dropped.
            files: Files and folders that the commit has.
        """
        index = self.bare / f"index-{tag}"
        if source is None:
            _git(self.bare, index, "add", "--all", *files, work_tree=REPOSITORY)
        else:
            listed = git(REPOSITORY, "ls-tree", "-r", "--full-tree", source, "--", *files)
            _git(self.bare, index, "update-index", "--index-info", text=listed)
        for name, (old, new) in (changes or {}).items():
            content = _git(self.bare, index, "show", f":{name}")
            assert content.count(old) == 1, f"{name} does not hold {old!r} once"
            blob = _git(self.bare, index, "hash-object", "-w", "--stdin", text=content.replace(old, new)).strip()
            _git(self.bare, index, "update-index", "--cacheinfo", f"100644,{blob},{name}")
        for name, new_name in (renamed or {}).items():
            blob = _git(self.bare, index, "rev-parse", f":{name}").strip()
            _git(self.bare, index, "update-index", "--index-info", text=f"0 {'0' * 40}\t{name}\n")
            if new_name is not None:
                _git(self.bare, index, "update-index", "--add", "--cacheinfo", f"100644,{blob},{new_name}")
        tree = _git(self.bare, index, "write-tree").strip()
        parents = git(self.bare, "for-each-ref", "--format=%(objectname)", "refs/heads/main").split()
        commit = git(self.bare, "commit-tree", tree, "-m", tag, *(["-p", *parents] if parents else [])).strip()
        git(self.bare, "update-ref", "refs/heads/main", commit)
        git(self.bare, "tag", "-a", tag, "-m", tag, commit)

    @contextmanager
    def served(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """Lead the home address to this repository, for git and for Copier."""
        config = self.bare.parent / "gitconfig"
        config.write_text(f'[url "{self.bare.as_uri()}"]\n\tinsteadOf = {ADDRESS}.git\n\tinsteadOf = {ADDRESS}\n')
        (self.bare.parent / "settings.yml").write_text("{}\n", encoding="utf-8")
        values = {
            "COPIER_CACHE_DIR": str(self.bare.parent / "cache"),
            "COPIER_SETTINGS_PATH": str(self.bare.parent / "settings.yml"),
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        for name, value in values.items():
            patch.setenv(name, value)
        # Copier's git runs with the environment that plumbum copied when it was imported.
        with plumbum.local.env(**values, **git_environment({})):
            yield


def build_history(folder: Path) -> History:
    """Build the repository with all releases, and the working tree as `NEXT`."""
    history = History(folder / "cloud-ml-platform.git")
    git(folder, "init", "-q", "--bare", "-b", "main", str(history.bare))
    objects = git(REPOSITORY, "rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
    (history.bare / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
    for tag, commit in RELEASES.items():
        history.publish(tag, commit)
    history.publish(NEXT)
    return history


def _git(bare: Path, index: Path, *command: str, text: str | None = None, work_tree: Path | None = None) -> str:
    env = {**os.environ, "GIT_DIR": str(bare), "GIT_INDEX_FILE": str(index)}
    if work_tree is not None:
        env["GIT_WORK_TREE"] = str(work_tree)
    return subprocess.run(
        ["git", *command], cwd=work_tree or bare, env=env, input=text, check=True, capture_output=True, text=True
    ).stdout
