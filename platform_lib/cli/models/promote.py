"""`mlp promote`: make a version the champion."""

import json

import click

from platform_lib.cli.models.force import decided_override, force_option, reason_option
from platform_lib.names import Alias
from platform_lib.settings import find_project, load_settings


@click.command(epilog="Example: mlp promote sample-model/7")
@click.argument("reference", required=False)
@force_option
@reason_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, reference: str | None, force: bool, reason: str | None, as_json: bool) -> None:
    """Make a version the champion, the version that serves.

    REFERENCE is NAME, NAME@alias, NAME/7 or 7; the default is the project's candidate. The current champion becomes
    `previous`; `mlp rollback` restores it. Servers that follow the champion load the new one automatically.

    Servers load only versions that passed the gate. --force --reason "…" overrides the gate, and records on the version
    who did so, when and why.
    """
    from platform_lib.cli.models.rollout_pages import note_canary
    from platform_lib.registry.loading import open_registry
    from platform_lib.registry.reference import parse_reference
    from platform_lib.registry.roles import end_of_champion

    project = find_project()
    registry = open_registry(project, load_settings())
    record = registry.resolve(parse_reference(reference, project.name, default_alias=Alias.CANDIDATE))
    override = decided_override(record, force=force, reason=reason)
    moved = registry.promote(record, override=override)
    note_canary(end_of_champion(registry, record))
    if as_json:
        click.echo(
            json.dumps(
                {"name": record.name, "champion": record.version, "previous": moved.before, "changed": moved.changed}
            )
        )
    elif not moved.changed:
        recorded = "; the override of the gate is recorded" if override else ""
        click.echo(f"{record.name} version {record.version} is already the champion{recorded}.")
    else:
        back = f"; `mlp rollback` restores version {moved.before}" if moved.before else ""
        click.echo(f"{record.name} version {record.version} is now the champion{back}.")
