"""A command group whose subcommands may follow a model's name: `mlp canary NAME finish`."""

from typing import TYPE_CHECKING

import click

from platform_lib.cli.groups import Group
from platform_lib.errors import UsageError
from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.registry.versions import Registry

_NAMES = "platform_lib.model_names"
_MODEL = "Model name; needed where it equals a subcommand.  [default: the project's model]"

model_option = click.option("--model", help=_MODEL)
"""The group's option for a name that is also a subcommand's."""
model_argument = click.argument("name", required=False, metavar="[NAME]")
"""The optional model's name of a subcommand."""


class ModelGroup(Group):
    """Takes a first word that is not a subcommand as a model's name, so that both orders of the two words work."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take out the model's name, then parse the rest as any group does."""
        words = self._words(ctx, args)
        if words and words[0] not in self.commands:
            ctx.meta[_NAMES] = [words[0]]
            args = [*args[: len(args) - len(words)], *words[1:]]
            words = self._words(ctx, args)
            if words and words[0] not in self.commands:
                raise UsageError(
                    f"{words[0]!r} is not a subcommand of `mlp {ctx.info_name}`: expected {' or '.join(self.commands)}."
                )
        rest = super().parse_args(ctx, args)
        if model := ctx.params.pop("model", None):
            ctx.meta.setdefault(_NAMES, []).append(model)
        return rest

    def _words(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments from the first one on that is neither an option of the group nor such an option's value."""
        _, words, _ = self.make_parser(ctx).parse_args(args=list(args))
        return words


def open_model(context: click.Context, name: str | None = None) -> "tuple[Registry, str]":
    """Open the project's registry and decide which model is meant.

    Args:
        context: Of the group or of one of its subcommands.
        name: The name after a subcommand.
    Raises:
        UsageError: More than one model is named, or the name has a version or an alias.
    """
    from platform_lib.registry.loading import open_registry

    names = [*context.meta.get(_NAMES, []), *([name] if name else [])]
    if len(names) > 1:
        raise UsageError(f"one model is expected, but these are named: {', '.join(map(repr, names))}.")
    if names and any(sign in names[0] for sign in "@/:"):
        raise UsageError(f"{names[0]!r} is not a model's name: expected a name without @, / and :.")
    project = find_project()
    return open_registry(project, load_settings()), names[0] if names else project.name
