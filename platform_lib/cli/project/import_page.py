"""What `mlp data import` prints."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platform_lib.data.contract import DataContract
    from platform_lib.data.imports.plan import ImportPlan


def import_json(plan: "ImportPlan", *, is_written: bool) -> str:
    """Format an import as JSON: what was inferred, and whether it was written."""
    report = dataclasses.asdict(plan.report)
    result = {"table": plan.contract.name, "path": plan.contract.path, "written": is_written, "changes": plan.changes}
    return json.dumps(result | report, ensure_ascii=False)


def print_report(plan: "ImportPlan", file: Path) -> None:
    """Print what was inferred of each column, and why."""
    from rich.table import Table

    from platform_lib.cli.console import stderr, stdout

    report = plan.report
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


def print_next(contract: "DataContract") -> None:
    """Print what was written, and what to do next."""
    from platform_lib.cli.console import stdout

    stdout().print(
        f"\nWrote {contract.path} (tracked by DVC) and conf/data/{contract.name}.yaml; selected in conf/train.yaml."
    )
    stdout().print(
        f"Next: review conf/data/{contract.name}.yaml, then run `git add -A`, `git commit` and `mlp train`. "
        "`mlp data push` shares the table."
    )
