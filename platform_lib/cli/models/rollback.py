"""`mlp rollback`: restore the previous champion."""

import json

import click

from platform_lib.settings import find_project, load_settings


@click.command(epilog="Example: mlp rollback")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, name: str | None, as_json: bool) -> None:
    """Restore the previous champion.

    NAME is a model's name; the default is the project's model. A second rollback undoes the first.
    """
    from platform_lib.cli.models.rollout_pages import note_canary
    from platform_lib.errors import UsageError
    from platform_lib.registry.loading import open_registry
    from platform_lib.registry.roles import end_of_champion

    project = find_project()
    if name is not None and any(sign in name for sign in "@/:"):
        raise UsageError(
            f"{name!r} is a version, but a rollback always restores the previous champion: give only the model's name, "
            f"or run `mlp promote {name}`."
        )
    registry = open_registry(project, load_settings())
    moved = registry.rollback(name or project.name)
    record = moved.champion
    note_canary(end_of_champion(registry, record))
    if as_json:
        click.echo(
            json.dumps(
                {"name": record.name, "champion": record.version, "previous": moved.before, "changed": moved.changed}
            )
        )
    else:
        before = f"; version {moved.before} is previous" if moved.before else ""
        click.echo(f"{record.name} version {record.version} is the champion again{before}.")
