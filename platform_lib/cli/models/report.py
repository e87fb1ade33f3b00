"""`mlp report`: one page about a version, to read, print or send."""

from pathlib import Path

import click

from platform_lib.cli.reports import made_report
from platform_lib.settings import find_project


@click.command(epilog="Example: mlp report @candidate --compare @champion --open")
@click.argument("reference", required=False)
@click.option(
    "--compare", metavar="REFERENCE", help="Compare with this version.  [default: the champion at the training]"
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="HTML file to write.  [default: in .mlp/reports]"
)
@click.option("--open", "open_it", is_flag=True, help="Open it in a browser.")
def command(*, reference: str | None, compare: str | None, out: Path | None, open_it: bool) -> None:
    """Write the report of a version: verdict, scores, errors, slices, features, rows, data, lineage.

    REFERENCE is NAME, NAME@alias, NAME/7, @alias or 7; the default is the project's champion. The report is one HTML
    file that loads nothing from elsewhere. Values of private columns are not in it. `mlp train` stores a report with
    each run; this one also has the current aliases, and the comparison that you ask for.
    """
    from platform_lib.cli.browser import show_page

    project = find_project()
    file = made_report(project, reference, compare=compare, out=out)
    if open_it:
        show_page(file.resolve().as_uri(), project.state_dir, only_print=False)
    else:
        click.echo(str(file))
