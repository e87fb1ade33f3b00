"""`mlp data`: import, check, list, push and pull tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_lib.errors import CheckFailed, UsageError
from platform_lib.settings import Project, find_project

if TYPE_CHECKING:
    from platform_lib.data.imports.plan import ImportPlan


@click.group(epilog="Example: mlp data import churn.csv --target churned && mlp data check && mlp data push")
def command() -> None:
    """Import, check, push and pull tables."""


@command.command("import", epilog="Example: mlp data import churn.csv --target churned --id customer_id")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", metavar="COL", help="Column to predict; needed at the first import.")
@click.option(
    "--id", "id_column", metavar="COL", help="Column that names the rows; never a feature, decides the split."
)
@click.option(
    "--time", "time_column", metavar="COL", help="Column that says when; never a feature, for splits by time."
)
@click.option("--name", metavar="NAME", help="Name of the table; default: made from the file's name.")
@click.option("--replace", "mode", flag_value="replace", help="Put this table in the place of the one of that name.")
@click.option("--append", "mode", flag_value="append", help="Add these rows to the table of that name.")
def import_command(
    file: Path, target: str | None, id_column: str | None, time_column: str | None, name: str | None, mode: str | None
) -> None:
    """Import a CSV or Parquet FILE as a table of this project.

    Writes data/NAME.parquet (tracked by DVC) and its contract conf/data/NAME.yaml, selects it in conf/train.yaml, and says what was inferred and why.
    A table that is there already is only replaced or appended to when told so.
    """
    from platform_lib.cli.console import stdout, working

    project = _project()
    with working(f"reading {file.name}"):
        from platform_lib.data.imports import staging
        from platform_lib.data.imports.plan import ImportRequest, plan_import, table_name

        request = ImportRequest(file=file, target=target, id=id_column, time=time_column, name=name, mode=mode or "new")  # type: ignore[arg-type]
        staging.check_destination(project, table_name(request))
        plan = plan_import(project, request)
    if plan.existing is not None and mode is None:
        stdout().print(f"The table {plan.contract.name!r} is there already. What {file.name} would change:")
        for line in plan.changes:
            stdout().print(f"  {line}")
        raise UsageError(
            f"the table {plan.contract.name!r} is there already, so nothing was changed. "
            "Say --replace to put the file in its place, --append to add its rows, or give another --name."
        )
    with working(f"writing {plan.contract.path}"):
        staging.write_import(project, plan.contract, plan.table)
    _print_account(plan, file)


@command.command("check", epilog="Example: mlp data check churn")
@click.argument("name", required=False)
def check_command(name: str | None) -> None:
    """Judge the table NAME (default: the selected one) by its contract; exit code 1 says it breaks it."""
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
            f"the table {contract.name!r} breaks its contract in {len(found)} way{'' if len(found) == 1 else 's'}{about_all}. "
            f"Fix the data; or, if the data is right, edit conf/data/{contract.name}.yaml."
        )
    stdout().print(f"The table fits its contract conf/data/{contract.name}.yaml.")


@command.command("list", epilog="Example: mlp data list")
def list_command() -> None:
    """List the tables of this project; * marks the one that conf/train.yaml selects."""
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
            state = "not here; fetch it with `mlp data pull`" if kept else "missing"
        elif kept is None:
            state = "plain file"
        else:
            state = "under DVC" if kept == there else "changed since it was imported"
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
@click.option("--remote", metavar="NAME", help="DVC remote; default: the one in .dvc/config.")
def push_command(remote: str | None) -> None:
    """Copy the imported tables to the DVC remote."""
    from platform_lib.cli.console import stdout, working

    project = _project()
    with working("pushing"):
        from platform_lib.data.dvc import push

        count = push(project, remote)
    stdout().print(
        f"{count} file{'' if count == 1 else 's'} pushed." if count else "Everything is in the remote already."
    )


@command.command("pull", epilog="Example: mlp data pull")
@click.option("--remote", metavar="NAME", help="DVC remote; default: the one in .dvc/config.")
@click.option("--force", is_flag=True, help="Overwrite tables that were changed here.")
def pull_command(remote: str | None, force: bool) -> None:
    """Fetch the imported tables from the DVC remote."""
    from platform_lib.cli.console import stdout, working

    project = _project()
    with working("pulling"):
        from platform_lib.data.dvc import pull

        count = pull(project, remote, force=force)
    stdout().print(f"{count} file{'' if count == 1 else 's'} fetched; the tables are as tracked.")


def _project() -> Project:
    """The project, with an import that was stopped half-way finished first."""
    from platform_lib.cli.console import stderr

    project = find_project()
    if (project.state_dir / "import").is_dir():
        from platform_lib.data.imports.staging import finish_interrupted

        if said := finish_interrupted(project):
            stderr().print(said)
    return project


def _print_account(plan: "ImportPlan", file: Path) -> None:
    from rich.table import Table

    from platform_lib.cli.console import stderr, stdout

    report, contract = plan.report, plan.contract
    table = Table(
        "column",
        "role",
        "type",
        "missing",
        "values",
        "why",
        box=None,
        title_justify="left",
        title=f"{file.name}: {report.rows} rows",
    )
    for column in report.columns:
        table.add_row(column.name, column.role, column.type, str(column.missing), column.values, column.reason)
    stdout().print(table)
    for note in report.notes:
        stdout().print(f"- {note}")
    for warning in report.warnings:
        stderr().print(f"warning: {warning}", style="yellow")
    stdout().print(
        f"\nWritten: {contract.path} (under DVC), conf/data/{contract.name}.yaml; selected in conf/train.yaml."
    )
    stdout().print(
        f"Next: review conf/data/{contract.name}.yaml, then `git add -A`, `git commit`, `mlp train`; `mlp data push` shares the table."
    )
