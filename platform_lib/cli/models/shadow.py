"""`mlp shadow`: let a version answer in the background, unheard, and see how far it agrees. The registry moves the alias."""

import click

from platform_lib.cli.models.canary import name_and_action, open_model
from platform_lib.names import Alias


@click.command(
    epilog="Example: mlp shadow --version 7\n\nExample: mlp shadow --url http://127.0.0.1:8000\n\nExample: mlp shadow off"
)
@click.argument("words", nargs=-1, metavar="[NAME] [off]")
@click.option("--version", help="The version that becomes the shadow, such as 7.")
@click.option("--url", help="A server to ask how far the shadow agrees; its key, of the scope admin, in MLP_API_KEY.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(words: tuple[str, ...], version: str | None, url: str | None, as_json: bool) -> None:
    """Let a version answer what the champion answers, without being heard.

    With --version it starts, `off` ends it; with neither it is shown. NAME is a model's name; without it the project's. Callers never wait for a
    shadow; the server keeps how often it agrees.
    """
    from platform_lib.cli.models import rollout_pages
    from platform_lib.errors import UsageError
    from platform_lib.registry import roles
    from platform_lib.registry.reference import Reference

    name, action = name_and_action(words, ("off",))
    if action is not None and version is not None:
        raise UsageError("`mlp shadow off` takes no --version: it is about the shadow that there is.")
    registry, name = open_model(name)
    if action == "off":
        rollout_pages.ended(roles.end_role(registry, name, Alias.SHADOW), Alias.SHADOW, as_json=as_json)
    elif version is not None:
        record = registry.resolve(Reference(name, version=version.removeprefix("v")))
        roles.start_shadow(registry, record)
        rollout_pages.shadow_started(record, as_json=as_json)
    else:
        rollout_pages.shadow_status(registry, name, url=url, as_json=as_json)
