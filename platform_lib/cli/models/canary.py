"""`mlp canary`: run a version on a share of the requests, compare it with the champion, promote or remove it."""

import click

from platform_lib.cli.models.model_group import ModelGroup, model_argument, model_option, open_model
from platform_lib.errors import UsageError
from platform_lib.names import Alias

_EXAMPLES = (
    "Example: mlp canary --version 7 --percent 10",
    "Example: mlp canary --url http://127.0.0.1:8000",
    "Example: mlp canary finish",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_FORCE = click.option("--force", is_flag=True, help="Accept a version that the gate refused.")


@click.group(
    cls=ModelGroup,
    epilog="\n\n".join(_EXAMPLES),
    subcommand_metavar="[NAME] [finish|abort]",
    invoke_without_command=True,
)
@model_option
@click.option("--version", help="Version to run as the canary, such as 7.")
@click.option("--percent", type=float, help="Share of the requests that it serves: above 0, at most 100.")
@_FORCE
@click.option(
    "--log",
    "place",
    default=".mlp/log",
    show_default=True,
    help="Request log of the servers: a folder or s3://bucket/prefix.",
)
@click.option(
    "--url",
    help="Also show what this server counted. Needs a key with the scope admin in MLP_API_KEY.",
)
@_JSON
@click.pass_context
def command(
    context: click.Context,
    *,
    version: str | None,
    percent: float | None,
    force: bool,
    place: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Run a version on a share of the requests.

    With --version and --percent, start a canary or change its share. `finish` makes it the champion, `abort` removes
    it. Without any of these, compare champion and canary.

    NAME is a model's name; the default is the project's model. The same caller (header X-Sticky-Id, else the request's
    id) is always served by the same version. When the canary fails, the champion handles the request.
    """
    from platform_lib.cli.models import rollout_pages
    from platform_lib.registry import roles
    from platform_lib.registry.reference import Reference

    if context.invoked_subcommand is not None:
        if version is not None or percent is not None:
            raise UsageError(
                f"`mlp canary {context.invoked_subcommand}` takes neither --version nor --percent: it acts on the "
                "current canary."
            )
        return
    if percent is not None and version is None:
        raise UsageError("--percent needs --version, such as `mlp canary --version 7 --percent 10`.")
    if version is not None and percent is None:
        raise UsageError("--version needs --percent, such as `mlp canary --version 7 --percent 10`.")
    registry, name = open_model(context)
    if version is None or percent is None:
        rollout_pages.canary_status(registry, name, place=place, url=url, as_json=as_json)
        return
    record = registry.resolve(Reference(name, version=version.removeprefix("v")))
    before = roles.start_canary(registry, record, percent, force=force)
    rollout_pages.canary_started(record, percent, before, as_json=as_json)


@command.command(epilog="Example: mlp canary finish")
@model_argument
@_FORCE
@_JSON
@click.pass_context
def finish(context: click.Context, *, name: str | None, force: bool, as_json: bool) -> None:
    """Make the canary the champion."""
    from platform_lib.cli.models import rollout_pages
    from platform_lib.registry import roles

    force, as_json = force or _given(context, "force"), as_json or _given(context, "as_json")
    registry, name = open_model(context, name)
    if (canary := roles.find_canary(registry, name)) is not None:
        rollout_pages.warn_of_force(canary.record, force=force)
    moved = roles.finish_canary(registry, name, force=force)
    rollout_pages.finished(moved, as_json=as_json)


@command.command(epilog="Example: mlp canary abort")
@model_argument
@_JSON
@click.pass_context
def abort(context: click.Context, *, name: str | None, as_json: bool) -> None:
    """Remove the canary; the champion serves all requests again."""
    from platform_lib.cli.models import rollout_pages
    from platform_lib.registry import roles

    registry, name = open_model(context, name)
    ended = roles.end_canary(registry, name)
    rollout_pages.ended(ended, Alias.CANARY, as_json=as_json or _given(context, "as_json"))


def _given(context: click.Context, flag: str) -> bool:
    """Whether a flag stood before the subcommand."""
    return context.parent is not None and bool(context.parent.params[flag])
