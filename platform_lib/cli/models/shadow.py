"""`mlp shadow`: run a version on live traffic without returning its predictions, and see how often it agrees."""

import click

from platform_lib.cli.models.force import decided_override, force_option, reason_option
from platform_lib.cli.models.model_group import ModelGroup, model_argument, model_option, open_model
from platform_lib.errors import UsageError
from platform_lib.names import Alias

_EXAMPLES = (
    "Example: mlp shadow --version 7",
    "Example: mlp shadow --url http://127.0.0.1:8000",
    "Example: mlp shadow off",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    cls=ModelGroup, epilog="\n\n".join(_EXAMPLES), subcommand_metavar="[NAME] [off]", invoke_without_command=True
)
@model_option
@click.option("--version", help="Version to run as the shadow, such as 7.")
@force_option
@reason_option
@click.option(
    "--url", help="Show how often the shadow of this server agrees. Needs a key with the scope admin in MLP_API_KEY."
)
@_JSON
@click.pass_context
def command(
    context: click.Context, *, version: str | None, force: bool, reason: str | None, url: str | None, as_json: bool
) -> None:
    """Run a version on live traffic without returning its predictions.

    With --version, start a shadow. `off` removes it. Without either, show it.

    NAME is a model's name; the default is the project's model. Callers never wait for the shadow. The server counts how
    often it agrees with the champion.
    """
    from platform_lib.cli.models import rollout_pages
    from platform_lib.registry import roles
    from platform_lib.registry.reference import Reference

    if context.invoked_subcommand is not None:
        if version is not None:
            raise UsageError("`mlp shadow off` takes no --version: it acts on the current shadow.")
        return
    registry, name = open_model(context)
    if version is None:
        rollout_pages.shadow_status(registry, name, url=url, as_json=as_json)
        return
    record = registry.resolve(Reference(name, version=version.removeprefix("v")))
    roles.start_shadow(registry, record, override=decided_override(record, force=force, reason=reason))
    rollout_pages.shadow_started(record, as_json=as_json)


@command.command(epilog="Example: mlp shadow off")
@model_argument
@_JSON
@click.pass_context
def off(context: click.Context, *, name: str | None, as_json: bool) -> None:
    """Remove the shadow."""
    from platform_lib.cli.models import rollout_pages
    from platform_lib.registry import roles

    as_json = as_json or (context.parent is not None and bool(context.parent.params["as_json"]))
    registry, name = open_model(context, name)
    rollout_pages.ended(roles.end_role(registry, name, Alias.SHADOW), Alias.SHADOW, as_json=as_json)
