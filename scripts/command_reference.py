"""Every command of `mlp` with its arguments and options, for docs/commands.md."""

import importlib
import inspect
import re
from collections.abc import Iterator

import click

from platform_lib.cli import FAMILIES


def text() -> str:
    """All commands by family, as `mlp --help` groups them."""
    lines: list[str] = []
    for title, entries in FAMILIES.items():
        lines += [f"## {title}", ""]
        for name, entry in entries.items():
            command: click.Command = importlib.import_module(entry.module).command
            for path, each in _leaves(command, f"mlp {name}"):
                lines += _section(path, each)
    return "\n".join(lines)


def _leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and its subcommands; a group counts only if it does something itself."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    if command.invoke_without_command:
        yield path, command
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None and not inner.hidden:
            yield from _leaves(inner, f"{path} {name}")


def _section(path: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"### {path}", "", f"`{path} {usage}`", ""]
    lines += [re.sub(r"([*<])", r"\\\1", inspect.cleandoc(command.help or "").replace("\b\n", "").strip()), ""]
    if example := (command.epilog or "").strip():
        lines += ["```", example.removeprefix("Example: "), "```", ""]
    options = [
        option
        for option in command.get_params(context)
        if isinstance(option, click.Option) and not option.hidden and "--help" not in option.opts
    ]
    if options:
        rows = [_row(option, context) for option in options]
        lines += ["| option | meaning |", "|---|---|", *rows, ""]
    return lines


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    names, meaning = record if record is not None else (", ".join(option.opts), "")
    return f"| `{cell(names)}` | {cell(meaning, prose=True)} |"


def cell(value: str, *, prose: bool = False) -> str:
    """A text as a cell of a Markdown table; prose loses the meaning of `*`, `<` and `_`."""
    value = " ".join(value.split()).replace("|", "\\|")
    return re.sub(r"([*<_])", r"\\\1", value) if prose else value
