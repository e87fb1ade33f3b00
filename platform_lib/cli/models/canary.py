"""`mlp canary`: let a version answer a share of the requests, see how it fares, make it the champion or end it. The registry moves the aliases."""

from typing import TYPE_CHECKING

import click

from platform_lib.names import Alias
from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.registry.versions import Registry

_EXAMPLES = (
    "Example: mlp canary --version 7 --percent 10",
    "Example: mlp canary --url http://127.0.0.1:8000",
    "Example: mlp canary finish",
)


@click.command(epilog="\n\n".join(_EXAMPLES))
@click.argument("words", nargs=-1, metavar="[NAME] [finish|abort]")
@click.option("--version", help="The version that becomes the canary, such as 7.")
@click.option("--percent", type=float, help="Its share of the requests, above 0 and at most 100.")
@click.option("--force", is_flag=True, help="Although the gate refused it.")
@click.option(
    "--log",
    "place",
    default=".mlp/log",
    show_default=True,
    help="The servers' request log: a folder or s3://bucket/prefix.",
)
@click.option(
    "--url", help="A server to ask for failures and disagreements too; its key, of the scope admin, in MLP_API_KEY."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    words: tuple[str, ...],
    version: str | None,
    percent: float | None,
    force: bool,
    place: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Try a version on a share of the requests.

    With --version and --percent it starts, or changes its share; `finish` makes it the champion, `abort` ends it; with neither, champion and canary
    are shown side by side. NAME is a model's name; without it the project's. The same caller (header X-Sticky-Id, else the request's id) is answered
    by the same version; what the canary fails, the champion answers.
    """
    from platform_lib.cli.models import rollout_pages
    from platform_lib.errors import UsageError
    from platform_lib.registry import roles
    from platform_lib.registry.reference import Reference

    name, action = name_and_action(words, ("finish", "abort"))
    if action is not None and (version is not None or percent is not None):
        raise UsageError(
            f"`mlp canary {action}` takes neither --version nor --percent: it is about the canary that there is."
        )
    if percent is not None and version is None:
        raise UsageError("--percent needs --version: which version is the canary to be?")
    registry, name = open_model(name)
    if action == "finish":
        if (canary := roles.find_canary(registry, name)) is not None:
            rollout_pages.warn_of_force(canary.record, force=force)
        moved = roles.finish_canary(registry, name, force=force)
        rollout_pages.finished(moved, as_json=as_json)
    elif action == "abort":
        rollout_pages.ended(roles.end_canary(registry, name), Alias.CANARY, as_json=as_json)
    elif version is not None:
        if percent is None:
            raise UsageError("--version needs --percent: how large a share is the canary to have, such as 10?")
        record = registry.resolve(Reference(name, version=version.removeprefix("v")))
        before = roles.start_canary(registry, record, percent, force=force)
        rollout_pages.canary_started(record, percent, before, as_json=as_json)
    else:
        rollout_pages.canary_status(registry, name, place=place, url=url, as_json=as_json)


def name_and_action(words: tuple[str, ...], actions: tuple[str, ...]) -> tuple[str | None, str | None]:
    """What is meant by the words after a command: a model's name or None, an action or None."""
    from platform_lib.errors import UsageError

    names = [word for word in words if word not in actions]
    chosen = [word for word in words if word in actions]
    if len(names) > 1 or len(chosen) > 1 or (names and any(sign in names[0] for sign in "@/:")):
        raise UsageError(
            f"{' '.join(words)!r} is not understood: expected a model's name, and {' or '.join(actions)}, each at most once."
        )
    return (names[0] if names else None), (chosen[0] if chosen else None)


def open_model(name: str | None) -> "tuple[Registry, str]":
    """The project's registry, and the model that is meant."""
    from platform_lib.registry.loading import open_registry

    project = find_project()
    return open_registry(project, load_settings()), name or project.name
