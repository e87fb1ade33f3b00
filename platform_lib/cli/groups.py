"""Groups of commands that propose the nearest command for a misspelt one."""

from difflib import get_close_matches

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""The option of every command that lists or reports; it passes `as_json`."""


class Group(click.Group):
    """As click's, with a proposal in the error for an unknown command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as err:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1, cutoff=0.6)
            if not close or args[0] in self.list_commands(ctx):
                raise
            raise click.UsageError(f"{err.message} Did you mean '{close[0]}'?", ctx) from err
