"""`mlp data`: import, check, list, push and pull tables."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_lib.cli.groups import Group, json_option
from platform_lib.cli.project import data_from_log
from platform_lib.cli.project.import_page import import_json, print_next, print_report
from platform_lib.cli.project.table_pages import check_json, list_tables, print_check, print_tables
from platform_lib.errors import CheckFailed, UsageError
from platform_lib.names import ExitCode
from platform_lib.settings import Project, find_project, load_settings, tracking_uri

if TYPE_CHECKING:
    from platform_lib.data.files.formats import DateOrder, DecimalSign
    from platform_lib.data.imports.options import Mode


@click.group(cls=Group, epilog="Example: mlp data import churn.csv --target churned && mlp data check && mlp data push")
def command() -> None:
    """Import, check, push and pull tables."""


@command.command("import", epilog="Example: mlp data import churn.csv --target churned --id customer_id")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", metavar="COL", help="Column to predict; required for the first import of a table.")
@click.option(
    "--id", "id_column", metavar="COL", help="Column that identifies the rows. Not a feature; determines the split."
)
@click.option(
    "--time",
    "time_column",
    metavar="COL",
    help="Column with the time of each row. Not a feature; used for time-based splits.",
)
@click.option(
    "--sensitive",
    multiple=True,
    metavar="COL",
    help="Mark a column as sensitive: its values are never logged or shown.",
)
@click.option(
    "--not-sensitive", multiple=True, metavar="COL", help="Do not mark a column that looks like personal data."
)
@click.option("--name", metavar="NAME", help="Name of the table.  [default: derived from the file name]")
@click.option(
    "--column",
    "columns",
    metavar="NAME:TYPE",
    multiple=True,
    help="Type of a column: integer, number, boolean, string or datetime; ignore leaves it out.",
)
@click.option(
    "--missing",
    metavar="[COL=]TEXT",
    multiple=True,
    help="A cell that means a missing value, such as ?, in all columns or in one.",
)
@click.option(
    "--not-missing", metavar="[COL=]TEXT", multiple=True, help="A cell such as None that is a value, and not missing."
)
@click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign of numbers in CSV.  [default: inferred]")
@click.option(
    "--dates",
    type=click.Choice(["day-first", "month-first", "year-first"]),
    help="Order of dates such as 01/02/2026.  [default: inferred]",
)
@click.option("--dry-run", is_flag=True, help="Print what would be inferred, and write nothing.")
@click.option("--replace", "mode", flag_value="replace", help="Replace the existing table of that name.")
@click.option("--append", "mode", flag_value="append", help="Append the rows to the existing table of that name.")
@click.option(
    "--new-key",
    is_flag=True,
    help="With --replace: decide the hold-out by --id or the features even if models were trained with another key.",
)
@json_option
def import_command(
    *,
    file: Path,
    target: str | None,
    id_column: str | None,
    time_column: str | None,
    sensitive: tuple[str, ...],
    not_sensitive: tuple[str, ...],
    name: str | None,
    columns: tuple[str, ...],
    missing: tuple[str, ...],
    not_missing: tuple[str, ...],
    decimal: "DecimalSign | None",
    dates: "DateOrder | None",
    dry_run: bool,
    mode: "Mode | None",
    new_key: bool,
    as_json: bool,
) -> None:
    """Import a CSV or Parquet FILE as a table of this project.

    Writes data/NAME.parquet (tracked by DVC) and its data contract conf/data/NAME.yaml, selects the table in
    conf/train.yaml, and prints what was inferred and why. Columns that look like personal data are marked as sensitive.
    An existing table is changed only with --replace or --append.
    """
    from platform_lib.cli.console import stdout, working

    project = found_project()
    with working(f"reading {file.name}"):
        from platform_lib.data.imports import staging
        from platform_lib.data.imports.options import ImportRequest, ReadingOptions, parse_types, table_name
        from platform_lib.data.imports.plan import plan_import
        from platform_lib.data.sensitive import SensitiveOptions
        from platform_lib.registry.trained_on import trained_on

        request = ImportRequest(
            file=file,
            target=target,
            id=id_column,
            time=time_column,
            name=name,
            mode=mode or "new",
            options=ReadingOptions(
                types=parse_types(columns), missing=missing, not_missing=not_missing, decimal=decimal, dates=dates
            ),
            privacy=SensitiveOptions(sensitive=sensitive, not_sensitive=not_sensitive),
            new_key=new_key,
        )
        registry = tracking_uri(project, load_settings())
        request = replace(request, trained=trained_on(project, registry, table_name(request)))
        staging.check_destination(project, table_name(request))
        plan = plan_import(project, request)
    if dry_run:
        if as_json:
            click.echo(import_json(plan, is_written=False))
            return
        print_report(plan, file)
        stdout().print("\nNothing was written, because of --dry-run.")
        return
    if plan.existing is not None and mode is None:
        stdout().print(f"The table {plan.contract.name!r} already exists. {file.name} would change:")
        for line in plan.changes:
            stdout().print(f"  {line}")
        raise UsageError(
            f"the table {plan.contract.name!r} already exists, so nothing was changed. "
            "Use --replace to replace it, --append to append the rows, or another --name."
        )
    with working(f"writing {plan.contract.path}"):
        staging.write_import(project, plan.contract, plan.table)
    if as_json:
        click.echo(import_json(plan, is_written=True))
        return
    print_report(plan, file)
    print_next(plan.contract)


@command.command("check", epilog="Example: mlp data check churn")
@click.argument("name", required=False)
@json_option
def check_command(*, name: str | None, as_json: bool) -> int:
    """Check the table NAME (default: the selected one) against its data contract.

    Exit code 1 means that the table violates the contract.
    """
    from platform_lib.cli.console import stdout, working

    project = found_project()
    with working("reading and checking the table"):
        from platform_lib.data.dataset import dataset_path, find_contract, read_table
        from platform_lib.data.quality import violations

        contract = find_contract(project, name)
        raw = read_table(dataset_path(project, contract), contract)
        _, found = violations(raw, contract)
    if as_json:
        click.echo(check_json(contract, raw, found))
        return ExitCode.REFUSED if found else ExitCode.OK
    print_check(contract, raw, found)
    if found:
        about_all = "".join(f" ({violation})" for violation in found if not violation.column)
        raise CheckFailed(
            f"the table {contract.name!r} violates its contract in {len(found)} way{'' if len(found) == 1 else 's'}"
            f"{about_all}. Fix the data; if the data is right, edit conf/data/{contract.name}.yaml."
        )
    stdout().print(f"The table matches its contract conf/data/{contract.name}.yaml.")
    return ExitCode.OK


@command.command("list", epilog="Example: mlp data list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the project's tables; * marks the one selected in conf/train.yaml."""
    from platform_lib.cli.console import stdout
    from platform_lib.data.dataset import NOTHING_SELECTED

    tables = list_tables(found_project())
    if as_json:
        click.echo(json.dumps(tables, ensure_ascii=False))
    elif not tables:
        stdout().print(NOTHING_SELECTED[0].upper() + NOTHING_SELECTED[1:])
    else:
        print_tables(tables)


@command.command("push", epilog="Example: mlp data push")
@click.option("--remote", metavar="NAME", help="DVC remote.  [default: the one in .dvc/config]")
def push_command(remote: str | None) -> None:
    """Copy the imported tables to the DVC remote."""
    from platform_lib.cli.console import stdout, working

    project = found_project()
    with working("pushing"):
        from platform_lib.data.dvc import push

        count = push(project, remote)
    stdout().print(
        f"{count} file{'' if count == 1 else 's'} pushed." if count else "Everything is already in the remote."
    )


@command.command("pull", epilog="Example: mlp data pull")
@click.option("--remote", metavar="NAME", help="DVC remote.  [default: the one in .dvc/config]")
@click.option("--force", is_flag=True, help="Overwrite tables with local changes.")
def pull_command(*, remote: str | None, force: bool) -> None:
    """Fetch the imported tables from the DVC remote."""
    from platform_lib.cli.console import stdout, working

    project = found_project()
    with working("pulling"):
        from platform_lib.data.dvc import pull

        count = pull(project, remote, force=force)
    stdout().print(f"{count} file{'' if count == 1 else 's'} fetched; the tables match what DVC tracks.")


command.add_command(data_from_log.command, "from-log")


def found_project() -> Project:
    """Find the project, and finish an interrupted import first."""
    from platform_lib.cli.console import stderr

    project = find_project()
    if (project.state_dir / "import").is_dir():
        from platform_lib.data.imports.staging import finish_interrupted

        if said := finish_interrupted(project):
            stderr().print(said)
    return project
