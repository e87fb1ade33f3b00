"""Run Copier as a process, with git settings that do not depend on the user's."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from platform_lib.errors import ServiceError, UsageError
from platform_lib.settings import Project
from platform_lib.updates.releases import Origin

Render = Callable[[Path], object]
"""Writes the version of the template that the project has, with its answers, into a folder."""

_REQUIREMENT = "copier>=9.15,<10"
_GIT_SETTINGS = {
    "apply.whitespace": "nowarn",  # `fix` and `error` change or refuse the user's lines
    "commit.gpgSign": "false",
    "core.hooksPath": os.devnull,
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "merge.conflictStyle": "diff3",  # `settle` needs the lines of the last update
    "status.relativePaths": "true",
    "status.showUntrackedFiles": "all",  # Copier finds rejected changes by `git status`
}


def git_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make git work the same for every user.

    Args:
        environ: The environment, whose own `GIT_CONFIG_*` entries stay.
    """
    first = int(environ.get("GIT_CONFIG_COUNT") or 0)
    added = {"GIT_CONFIG_COUNT": str(first + len(_GIT_SETTINGS)), "GIT_TERMINAL_PROMPT": "0"}
    for number, (key, value) in enumerate(_GIT_SETTINGS.items(), first):
        added |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return added


def find_copier(project: Project) -> list[str]:
    """Return the command that starts Copier: installed, or fetched by uv or pipx.

    Raises:
        UsageError: There is none of them.
    """
    if importlib.util.find_spec("copier") is not None:
        return [sys.executable, "-m", "copier"]
    if found := project.tool("copier"):
        return [found]
    if uv := os.environ.get("UV") or project.tool("uv"):
        return [uv, "tool", "run", "--from", _REQUIREMENT, "copier"]
    if pipx := shutil.which("pipx"):
        return [pipx, "run", "--spec", _REQUIREMENT, "copier"]
    raise UsageError(
        f"Copier, which updates the files, is not installed, and neither are uv and pipx, which could fetch it. Run "
        f"`pip install '{_REQUIREMENT}'`, then the command again."
    )


def update_files(copier: list[str], root: Path, version: str) -> None:
    """Update the project's files to a version of the template.

    Args:
        copier: From `find_copier`.
        root: The project's folder.
        version: A tag of the template, such as `v0.2.0`.

    Raises:
        ServiceError: Copier failed; the message has its last words.
    """
    _run([*copier, "update", "--defaults", "--conflict", "inline", "--quiet", "--vcs-ref", version], root)


def renderer(copier: list[str], origin: Origin) -> Render:
    """Return a function that renders the version that the project has."""

    def render(folder: Path) -> None:
        answers = folder.with_suffix(".yml")
        answers.write_text(yaml.safe_dump(origin.answers, allow_unicode=True), encoding="utf-8")
        command = ["copy", "--defaults", "--quiet", "--vcs-ref", origin.commit, "--data-file", str(answers)]
        _run([*copier, *command, origin.source, str(folder)], folder.parent)

    return render


def _run(command: list[str], folder: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | git_environment(os.environ)
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as err:
        raise ServiceError(f"Copier cannot run: {err.strerror or err}.") from err
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise ServiceError(f"Copier failed: {said[-1] if said else f'exit code {done.returncode}'}")
