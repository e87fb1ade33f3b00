"""What a project's `deploy/` says of the cluster, read without Pulumi. The program itself reads it through Pulumi (`infra.model_stack`)."""

from pathlib import Path
from typing import Any

import yaml

from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import find_project


def find_stack(folder: Path, wanted: str | None = None) -> str:
    """The stack that is meant: the one that is named, else the only one with settings.

    Raises:
        UsageError: There is none, or there are several.
    """
    if wanted:
        return wanted
    names = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in sorted(folder.glob("Pulumi.*.yaml"))]
    if not names:
        raise UsageError(
            f"this project has no deployment in {folder.name}/: `copier update --data deploy_target=kubernetes` brings one."
        )
    if len(names) > 1:
        raise UsageError(f"{folder.name}/ has the stacks {', '.join(names)}: name one with --stack.")
    return names[0]


def stack_settings(folder: Path, stack: str) -> dict[str, Any]:
    """The plain settings of `Pulumi.<stack>.yaml`, without the project's name before each; none where there is no file.

    Raises:
        UsageError: The file is no YAML of that form.
    """
    file = folder / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        return {}
    try:
        values = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
        return {str(name).rpartition(":")[2]: value for name, value in values.items()}
    except (yaml.YAMLError, AttributeError) as err:
        raise UsageError(
            f"{file} is not a file of settings: {' '.join(str(err).split())[:200]}. Take it back with `git checkout`."
        ) from err


def deploy_setting(name: str) -> str:
    """A setting of the project that the working directory lies in; empty outside of one, and where several stacks might be meant."""
    try:
        folder = find_project().root / "deploy"
        return str(stack_settings(folder, find_stack(folder)).get(name) or "")
    except (NotFound, UsageError):
        return ""
