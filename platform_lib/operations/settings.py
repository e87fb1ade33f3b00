"""Read the stack settings in a project's `deploy/` without Pulumi."""

from pathlib import Path
from typing import Any

import yaml

from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import find_project


def find_stack(folder: Path, wanted: str | None = None) -> str:
    """Choose a stack: the wanted one, else the only one that has settings.

    Raises:
        UsageError: There is none, or there are several.
    """
    if wanted:
        return wanted
    names = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in sorted(folder.glob("Pulumi.*.yaml"))]
    if not names:
        raise UsageError(
            f"this project has no deployment in {folder.name}/: `copier update --data deploy_target=kubernetes` "
            "adds one."
        )
    if len(names) > 1:
        raise UsageError(f"{folder.name}/ has the stacks {', '.join(names)}: choose one with --stack.")
    return names[0]


def stack_settings(folder: Path, stack: str) -> dict[str, Any]:
    """Read the plain settings of `Pulumi.<stack>.yaml`, without the project prefix; empty if there is no file.

    Raises:
        UsageError: The file is not a valid settings file.
    """
    file = folder / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        return {}
    try:
        values = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
        return {str(name).rpartition(":")[2]: value for name, value in values.items()}
    except (yaml.YAMLError, AttributeError) as err:
        raise UsageError(
            f"{file} is not a valid settings file: {' '.join(str(err).split())[:200]}. Fix it, or restore it with "
            f"`git checkout -- {file}`."
        ) from err


def deploy_setting(name: str) -> str:
    """Return a setting of the current project's stack; empty outside a project or if it has several stacks."""
    try:
        folder = find_project().root / "deploy"
        return str(stack_settings(folder, find_stack(folder)).get(name) or "")
    except (NotFound, UsageError):
        return ""
