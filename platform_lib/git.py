"""Run the `git` command in a folder."""

import os
import subprocess
from pathlib import Path

from platform_lib.errors import ServiceError, UsageError

_TIMEOUT_S = 300.0


def output(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where there is no git, no repository, or the command fails."""
    try:
        done = _run(folder, arguments)
    except (UsageError, ServiceError):
        return None
    return done.stdout if done.returncode == 0 else None


def succeeds(folder: Path, *arguments: str) -> bool:
    """Whether git is installed and the command ends with exit code 0."""
    return output(folder, *arguments) is not None


def lines(folder: Path, *arguments: str) -> list[str]:
    """Return the lines that git prints, none where it fails. `git grep` exits with 1 when it finds nothing."""
    return (output(folder, *arguments) or "").splitlines()


def require(folder: Path, *arguments: str) -> str:
    """Return what git prints.

    Raises:
        UsageError: git is not installed.
        ServiceError: The command fails; the message has git's own words.
    """
    done = _run(folder, arguments)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise ServiceError(f"`git {' '.join(arguments)}` failed in {folder}: {said:.500}")
    return done.stdout


def _run(folder: Path, arguments: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            # Nobody can answer a question here: without this a remote that wants a password waits forever.
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError as err:
        if not folder.is_dir():
            raise UsageError(f"{folder} does not exist, so git cannot run in it.") from err
        raise UsageError(
            "git is not installed. Install it from https://git-scm.com, then run the command again."
        ) from err
    except OSError as err:
        raise ServiceError(f"git cannot run in {folder}: {err.strerror or err}.") from err
    except subprocess.TimeoutExpired as err:
        raise ServiceError(f"`git {' '.join(arguments)}` gave no answer within {_TIMEOUT_S:g} s in {folder}.") from err
