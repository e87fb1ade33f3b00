"""`mlp rollback`: give the champion's place back to the version before. The registry moves the aliases."""

import json

import click

from platform_lib.settings import find_project, load_settings


@click.command(epilog="Example: mlp rollback")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(name: str | None, as_json: bool) -> None:
    """Give the champion's place back to the version before.

    NAME is a model's name; without it the project's. A second rollback undoes the first.
    """
    from platform_lib.cli.models.rollout_pages import note_canary
    from platform_lib.errors import UsageError
    from platform_lib.registry.loading import open_registry
    from platform_lib.registry.roles import end_of_champion

    project = find_project()
    if name is not None and any(sign in name for sign in "@/:"):
        raise UsageError(
            f"{name!r} names a version, and a rollback goes to the one before: give the model's name only, or `mlp promote {name}`."
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
