"""`mlp data`: import, check, list, push and pull tables."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_lib.cli.groups import Group
from platform_lib.cli.project.import_page import print_next, print_report
from platform_lib.errors import CheckFailed, UsageError
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
) -> None:
    """Import a CSV or Parquet FILE as a table of this project.

    Writes data/NAME.parquet (tracked by DVC) and its data contract conf/data/NAME.yaml, selects the table in
    conf/train.yaml, and prints what was inferred and why. Columns that look like personal data are marked as sensitive.
    An existing table is changed only with --replace or --append.
    """
    from platform_lib.cli.console import stdout, working

    project = _project()
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
    print_report(plan, file)
    print_next(plan.contract)


@command.command("check", epilog="Example: mlp data check churn")
@click.argument("name", required=False)
def check_command(name: str | None) -> None:
    """Check the table NAME (default: the selected one) against its data contract.

    Exit code 1 means that the table violates the contract.
    """
    from rich.table import Table

    from platform_lib.cli.console import stdout, working

    project = _project()
    with working("reading and checking the table"):
        from platform_lib.data.dataset import dataset_path, find_contract, read_table
        from platform_lib.data.imports.contract_diff import limits_text, role_of
        from platform_lib.data.quality import violations

        contract = find_contract(project, name)
        raw = read_table(dataset_path(project, contract), contract)
        _, found = violations(raw, contract)
    table = Table(
        "column",
        "role",
        "type",
        "missing",
        "limits",
        "finding",
        title=f"{contract.name}: {len(raw)} rows",
        title_justify="left",
        box=None,
    )
    for column_name, column in contract.columns.items():
        missing = int(raw[column_name].isna().sum()) if column_name in raw else 0
        problems = "; ".join(violation.without_column() for violation in found if violation.column == column_name)
        table.add_row(
            column_name,
            role_of(contract, column_name),
            column.type,
            str(missing),
            limits_text(column),
            problems or "fits",
        )
    stdout().print(table)
    if found:
        about_all = "".join(f" ({violation})" for violation in found if not violation.column)
        raise CheckFailed(
            f"the table {contract.name!r} violates its contract in {len(found)} way{'' if len(found) == 1 else 's'}"
            f"{about_all}. Fix the data; if the data is right, edit conf/data/{contract.name}.yaml."
        )
    stdout().print(f"The table matches its contract conf/data/{contract.name}.yaml.")


@command.command("list", epilog="Example: mlp data list")
def list_command() -> None:
    """List the project's tables; * marks the one selected in conf/train.yaml."""
    from rich.table import Table

    from platform_lib.cli.console import stdout

    project = _project()
    from platform_lib.data.contract import read_contract
    from platform_lib.data.dataset import NOTHING_SELECTED, contract_path, dataset_names, selected_name
    from platform_lib.data.dvc import file_md5, tracked_md5

    names = dataset_names(project)
    if not names:
        stdout().print(NOTHING_SELECTED[0].upper() + NOTHING_SELECTED[1:])
        return
    selected = selected_name(project)
    table = Table("", "name", "target", "columns", "md5", "state", box=None)
    for name in names:
        contract = read_contract(contract_path(project, name))
        path = project.root / contract.path
        kept, there = tracked_md5(path), file_md5(path) if path.is_file() else None
        if there is None:
            state = "not downloaded; run `mlp data pull`" if kept else "missing"
        elif kept is None:
            state = "not tracked"
        else:
            state = "tracked by DVC" if kept == there else "changed since the import"
        table.add_row(
            "*" if name == selected else "",
            name,
            contract.target,
            str(len(contract.columns)),
            there or kept or "",
            state,
        )
    stdout().print(table)


@command.command("push", epilog="Example: mlp data push")
@click.option("--remote", metavar="NAME", help="DVC remote.  [default: the one in .dvc/config]")
def push_command(remote: str | None) -> None:
    """Copy the imported tables to the DVC remote."""
    from platform_lib.cli.console import stdout, working

    project = _project()
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

    project = _project()
    with working("pulling"):
        from platform_lib.data.dvc import pull

        count = pull(project, remote, force=force)
    stdout().print(f"{count} file{'' if count == 1 else 's'} fetched; the tables match what DVC tracks.")


def _project() -> Project:
    """Find the project, and finish an interrupted import first."""
    from platform_lib.cli.console import stderr

    project = find_project()
    if (project.state_dir / "import").is_dir():
        from platform_lib.data.imports.staging import finish_interrupted

        if said := finish_interrupted(project):
            stderr().print(said)
    return project
