"""`mlp lineage`: show what a model was made from."""

import dataclasses
import json

import click

from platform_lib.settings import find_project, load_settings


@click.command(epilog="Example: mlp lineage sample-model@champion")
@click.argument("reference", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, reference: str | None, as_json: bool) -> None:
    """Show what a model was made from: commit, data, configuration, lock file, library.

    REFERENCE is NAME, NAME@alias, NAME/7, @alias or 7; the default is the project's champion.
    """
    from platform_lib import lineage
    from platform_lib.cli.console import stdout
    from platform_lib.cli.rendering import moment, pairs, show
    from platform_lib.registry.loading import open_registry
    from platform_lib.registry.reference import parse_reference

    project = find_project()
    registry = open_registry(project, load_settings())
    record = registry.resolve(parse_reference(reference, project.name))
    origin = lineage.from_tags(record.tags, registry.run_tags(record))
    if as_json:
        known = {
            "name": record.name,
            "version": record.version,
            "run_id": record.run_id,
            "created_at": record.created_at.isoformat(),
        }
        click.echo(
            json.dumps(
                known | dataclasses.asdict(origin) | {"model_sha256": record.sha256}, indent=2, ensure_ascii=False
            )
        )
        return
    console = stdout()
    about = {
        "model": f"{record.name} version {record.version}",
        "aliases": ", ".join(record.aliases) or "none",
        "trained": moment(record.created_at),
    }
    show(
        console,
        pairs(
            about
            | lineage.rows(origin)
            | {"model file (SHA-256)": record.sha256 or "unknown", "MLflow run": record.run_id or "none"}
        ),
    )
    console.print(f"\nTo train it again: mlp reproduce {record.name}/{record.version}")
