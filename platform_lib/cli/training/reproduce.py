"""`mlp reproduce`: retrain a version from its record and compare the metrics."""

import json

import click

from platform_lib.names import ExitCode
from platform_lib.settings import find_project, load_settings


@click.command(epilog="Example: mlp reproduce sample-model@champion")
@click.argument("reference", required=False)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    help="Largest relative difference allowed in a metric.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, reference: str | None, tolerance: float, as_json: bool) -> int:
    """Retrain a version from its commit, data and configuration, and compare the metrics.

    REFERENCE is NAME, NAME@alias, NAME/7, @alias or 7; the default is the project's champion. Nothing is registered,
    and the project does not change. Exit code 1 means that a metric differs by more than the tolerance, or that the
    version cannot be retrained.
    """
    from platform_lib.cli.console import stderr, stdout, working
    from platform_lib.cli.rendering import show, table

    project = find_project()
    with working("Reading the registry"):
        from platform_lib.registry.loading import open_registry
        from platform_lib.registry.reference import parse_reference
        from platform_lib.training.reproduce import as_dict, reproduce

        registry = open_registry(project, load_settings())
        record = registry.resolve(parse_reference(reference, project.name))
    result = reproduce(project, registry, record, tolerance=tolerance, progress=working, note=stderr().print)
    if as_json:
        click.echo(json.dumps(as_dict(result), indent=2, ensure_ascii=False))
    else:
        shown = table("metric", "recorded", "again", "", numeric=("recorded", "again"))
        for name, item in result.metrics.items():
            again = "–" if item.again is None else f"{item.again:.9g}"
            shown.add_row(name, f"{item.recorded:.9g}", again, "same" if item.same else "differs")
        show(stdout(), shown)
        about = f"{record.name} version {record.version}"
        stdout().print(
            f"\n{about} {'is reproduced' if result.matches else 'came out differently'} (relative tolerance "
            f"{tolerance:g})."
        )
    return ExitCode.OK if result.matches else ExitCode.REFUSED
