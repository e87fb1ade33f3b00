"""Check that the lock file exists, is in git, and matches pyproject.toml. Works offline."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from platform_lib import git
from platform_lib.findings import Finding, note, ok, problem
from platform_lib.settings import LOCK_FILES, Project

ANSWER_TIMEOUT_S = 60
STALE = "needs to be updated"  # uv's message for an outdated lock
UNREACHABLE = (
    "network",
    "connect",
    "dns error",
    "failed to fetch",
    "timed out",
)  # parts of uv's messages without the network, in lower case


def check_lock(project: Project) -> Iterable[Finding]:
    """Check the project's lock file."""
    present = [name for name in LOCK_FILES if (project.root / name).is_file()]
    if not present:
        return [
            problem(
                "lock",
                "there is no lock file, so this environment cannot be rebuilt.",
                "Run `make setup`, then commit the lock.",
            )
        ]
    if len(present) > 1:
        return [
            problem(
                "lock",
                f"there are two lock files, {' and '.join(present)}.",
                "Delete the one of the package manager that you do not use.",
            )
        ]
    lock = present[0]
    if not git.succeeds(project.root, "ls-files", "--error-unmatch", lock):
        return [problem("lock", f"{lock} is not in git.", f"Run `git add {lock}` and commit.")]
    return [_uv(project) if lock == "uv.lock" else _pdm(project)]


def _uv(project: Project) -> Finding:
    # `uv run` sets UV to its own path, since it may not be on PATH.
    uv = os.environ.get("UV") or project.tool("uv")
    if uv is None:
        return note("lock", "uv is neither on PATH nor in .tools, so uv.lock was not compared with pyproject.toml.")
    done = None
    for options in (["--offline"], []):
        done = _run(project.root, [uv, "lock", "--check", *options])
        if done is None:
            break
        if done.returncode == 0:
            return ok("lock", "uv.lock matches pyproject.toml.")
        if STALE in done.stderr:
            return _stale("uv.lock")
    if done is not None and not any(words in done.stderr.lower() for words in UNREACHABLE):
        reason = next(
            (line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")),
            done.stderr.strip(),
        )
        return problem(
            "lock",
            f"uv refuses uv.lock: {reason.rstrip('.')}.",
            "Run `uv lock` for details. Then fix the problem, run `make lock` and commit the lock.",
        )
    # uv needs the network if the lock is outdated, but also if a git source is not in its cache.
    return note(
        "lock",
        "uv could not compare uv.lock with pyproject.toml without the network; run `uv lock --check` later.",
    )


def _pdm(project: Project) -> Finding:
    pdm = project.tool("pdm")
    if pdm is None:
        return note("lock", "pdm is neither on PATH nor in .tools, so pdm.lock was not compared with pyproject.toml.")
    done = _run(project.root, [pdm, "lock", "--check"])
    if done is None:
        return note("lock", "pdm did not respond, so pdm.lock was not compared with pyproject.toml.")
    if done.returncode == 0:
        return ok("lock", "pdm.lock matches pyproject.toml.")
    return _stale("pdm.lock")


def _run(root: Path, command: list[str]) -> "subprocess.CompletedProcess[str] | None":
    # Otherwise an active environment would be checked instead of the project's.
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | {
        "PDM_CHECK_UPDATE": "0",
        "PDM_IGNORE_ACTIVE_VENV": "1",
    }
    try:
        return subprocess.run(
            command, cwd=root, env=env, capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _stale(lock: str) -> Finding:
    return problem(
        "lock", f"{lock} does not match pyproject.toml.", "Run `make lock` and `make setup`, then commit the lock."
    )
