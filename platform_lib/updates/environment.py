"""Bring lock file and environment to the updated pyproject.toml, with uv or PDM."""

import os
import subprocess
from collections.abc import Sequence

from platform_lib.errors import ServiceError, UsageError
from platform_lib.settings import Project

_STEPS: dict[str, list[list[str]]] = {
    "uv": [["lock"], ["sync"]],
    # `pdm lock` upgrades everything, and `pdm install` keeps the library at its old commit.
    "pdm": [["update", "--update-reuse", "--no-sync", "platform-lib"], ["sync"]],
}
CHECK = ["run", "mlp", "check"]


def find_manager(project: Project, name: str) -> str:
    """Return the path of the project's package manager.

    Raises:
        UsageError: It is not installed.
    """
    found = (os.environ.get("UV") if name == "uv" else None) or project.tool(name)
    if found is None:
        raise UsageError(
            f"{name}, which updates the lock file, is neither on PATH nor in .tools. `make setup` installs it."
        )
    return found


def install_library(project: Project, manager: str, name: str) -> None:
    """Update the lock file and install what it lists.

    Args:
        project: The project.
        manager: Path of the package manager.
        name: `uv` or `pdm`.

    Raises:
        ServiceError: A step failed; the package manager has printed why.
    """
    for step in _STEPS[name]:
        if run_manager(project, manager, step) != 0:
            raise ServiceError(
                f"The files are updated, but `{name} {' '.join(step)}` failed. Fix what it reports, then run "
                "`make lock`, `make setup` and `mlp check`; `git reset --hard` undoes the update."
            )


def run_manager(project: Project, manager: str, arguments: Sequence[str]) -> int:
    """Run the package manager in the project's own environment, and return its exit code.

    The library is replaced meanwhile, so what follows the installation has to run as another process.
    """
    # Otherwise an active environment would be used instead of the project's.
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | {
        "PDM_CHECK_UPDATE": "0",
        "PDM_IGNORE_ACTIVE_VENV": "1",
    }
    try:
        return subprocess.run([manager, *arguments], cwd=project.root, env=env, stdin=subprocess.DEVNULL).returncode
    except OSError as err:
        raise ServiceError(f"{manager} cannot run: {err.strerror or err}.") from err
