"""Complete overrides in the shell: `mod` to `model=`, and `model=fo` to `model=forest`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_lib.errors import PlatformError
from platform_lib.settings import find_project

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_override(context: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Return the groups of conf/ that fit, or the choices of one. Empty outside a project."""
    from click.shell_completion import CompletionItem

    try:
        conf = find_project().conf_dir
    except PlatformError:
        return []
    before = list(context.params.get(parameter.name or "") or ())
    return [CompletionItem(text) for text in _texts(conf, before, incomplete)]


def _texts(conf: Path, before: list[str], incomplete: str) -> list[str]:
    groups = sorted(folder.name for folder in conf.iterdir() if folder.is_dir()) if conf.is_dir() else []
    if before and before[-1] == "=":  # bash splits `model=fo` into three words
        before.pop()
    if before and before[-1] in groups:
        return [name for name in _choices(conf, before[-1]) if name.startswith(incomplete)]
    group, equals, begun = incomplete.partition("=")
    if equals:
        return [f"{group}={name}" for name in _choices(conf, group) if name.startswith(begun)]
    return [f"{name}=" for name in groups if name.startswith(incomplete)]


def _choices(conf: Path, group: str) -> list[str]:
    return sorted(file.stem for file in (conf / group).glob("*.yaml"))
