"""`mlp canary`: run a version on a share of the requests, compare it with the champion, promote or remove it."""

import click

from platform_lib.cli.models.force import decided_override, force_option, reason_option
from platform_lib.cli.models.model_group import ModelGroup, model_argument, model_option, open_model
from platform_lib.errors import UsageError
from platform_lib.names import Alias

_EXAMPLES = (
    "Example: mlp canary --version 7 --percent 10",
    "Example: mlp canary --url http://127.0.0.1:8000",
    "Example: mlp canary finish",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    cls=ModelGroup,
    epilog="\n\n".join(_EXAMPLES),
    subcommand_metavar="[NAME] [finish|abort]",
    invoke_without_command=True,
)
@model_option
@click.option("--version", help="Version to run as the canary, such as 7.")
@click.option("--percent", type=float, help="Share of the requests that it serves: above 0, at most 100.")
@force_option
@reason_option
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
    reason: str | None,
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
    override = decided_override(record, force=force, reason=reason)
    before = roles.start_canary(registry, record, percent, override=override)
    rollout_pages.canary_started(record, percent, before, as_json=as_json)


@command.command(epilog="Example: mlp canary finish")
@model_argument
@force_option
@reason_option
@_JSON
@click.pass_context
def finish(context: click.Context, *, name: str | None, force: bool, reason: str | None, as_json: bool) -> None:
    """Make the canary the champion."""
    from platform_lib.cli.models import rollout_pages
    from platform_lib.registry import roles

    force, as_json = force or _given(context, "force"), as_json or _given(context, "as_json")
    if reason is None and context.parent is not None:
        reason = context.parent.params["reason"]
    registry, name = open_model(context, name)
    override = None
    if (canary := roles.find_canary(registry, name)) is not None:
        override = decided_override(canary.record, force=force, reason=reason)
    moved = roles.finish_canary(registry, name, override=override)
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
