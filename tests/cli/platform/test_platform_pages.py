"""Every command that the platform pages show exists, with the options shown."""

import re
import shlex

import click
import pytest

from platform_lib.cli import mlp
from tests.conftest import REPOSITORY

PAGES = sorted((REPOSITORY / "docs" / "platform").glob("*.md"))


def commands(text: str) -> list[str]:
    """Each `mlp …` command of a page, in blocks and in sentences.

    The command after `mlp tunnel --` counts separately.
    """
    found = re.findall(r"(?:^|`)(mlp [a-z][^`\n]*)", text, flags=re.MULTILINE)
    return [part.strip() for command in found for part in command.split(" -- ") if part.strip().startswith("mlp ")]


def wrong(command: str) -> str:
    """What is wrong with the command; empty if click would accept its words."""
    words = [word for word in shlex.split(command.replace("…", "x"))[1:] if word not in ("COMMAND", "--")]
    group: click.Command = mlp
    context = click.Context(mlp)
    while words and isinstance(group, click.Group):
        if words[0].startswith("-"):
            break
        found = group.get_command(context, words[0])
        if found is None:
            return "" if group.invoke_without_command else f"no command {words[0]}"
        group, words = found, words[1:]
    options = {name for parameter in group.params for name in parameter.opts}
    return next(
        (f"no option {word}" for word in words if word.startswith("--") and word.partition("=")[0] not in options), ""
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_documented_command_exists(page: object) -> None:
    text = (REPOSITORY / "docs" / "platform" / getattr(page, "name", "")).read_text(encoding="utf-8")
    assert [(command, reason) for command in commands(text) if (reason := wrong(command))] == []


@pytest.mark.parametrize("command", ["mlp tunel", "mlp platform checks", "mlp deploy --imago x"])
def test_a_wrong_command_is_detected(command: str) -> None:
    assert wrong(command)
    assert commands(f"`{command}`") == [command]
