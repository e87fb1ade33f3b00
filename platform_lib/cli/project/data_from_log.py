"""`mlp data from-log`: labelled rows of the request log become rows of a table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_lib.cli.groups import json_option

if TYPE_CHECKING:
    from platform_lib.monitoring.retraining.from_log import FromLog


@click.command(epilog="Example: mlp data from-log --since 30d")
@click.argument("name", required=False)
@click.option("--since", default="30d", show_default=True, metavar="DURATION", help="How far back: 12h, 7d or 4w.")
@click.option(
    "--log",
    "place",
    default=".mlp/log",
    show_default=True,
    help="Request log of the servers: a folder or s3://bucket/prefix.",
)
@click.option(
    "--with",
    "further",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="CSV or Parquet file with request_id, row, and the columns that are not logged.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be appended, and write nothing.")
@json_option
def command(*, name: str | None, since: str, place: str, further: Path | None, dry_run: bool, as_json: bool) -> None:
    """Append labelled rows of the request log to the table NAME (default: the selected one).

    A row is appended once, however often the command runs; its label must be in the log by then (`POST /labels`, `mlp
    log labels`). log_weights in conf/monitor.yaml leaves out rows that the model itself has influenced.
    """
    from datetime import UTC, datetime

    from platform_lib.cli.console import stdout, working
    from platform_lib.cli.project.data import found_project
    from platform_lib.monitoring.windows import parse_duration

    period = parse_duration(since)
    project = found_project()
    with working(f"reading {place}"):
        from platform_lib.data.dataset import find_contract
        from platform_lib.data.imports import staging
        from platform_lib.monitoring.config import read_monitor_config
        from platform_lib.monitoring.retraining.from_log import plan_from_log
        from platform_lib.serving.request_log.files import LogFolder

        contract = find_contract(project, name)
        staging.check_destination(project, contract.name)
        config = read_monitor_config(project)
        found = plan_from_log(
            project, contract, LogFolder.at(place), config, since=datetime.now(UTC) - period, further=further
        )
    is_written = found.plan is not None and not dry_run
    if found.plan is not None and is_written:
        with working(f"writing {found.plan.contract.path}"):
            staging.write_import(project, found.plan.contract, found.plan.table)
    if as_json:
        click.echo(json.dumps(_as_dict(found, contract.name, is_written=is_written), ensure_ascii=False))
        return
    for line in _lines(found, contract.name):
        stdout().print(line)
    if dry_run:
        stdout().print("Nothing was written, because of --dry-run.")
    elif is_written:
        stdout().print("Next: run `git add -A`, `git commit` and `mlp train`; `mlp data push` shares the table.")


def _lines(found: "FromLog", table: str) -> list[str]:
    lines = [f"{found.added} labelled rows of the request log are new in the table {table!r}."]
    if found.plan is not None:
        lines += [f"- {change}" for change in found.plan.changes]
        lines += [f"- from {file}" for file in found.files]
    for count, what in (
        (found.present, "labelled rows are in the table already."),
        (found.unlabelled, "logged rows have no label yet."),
        (found.unusable, "labels are no number, or no class of the contract: left out."),
        (found.incomplete, "rows lack a value that the contract requires: left out."),
        (found.left_out, "rows left out, as log_weights in conf/monitor.yaml says."),
    ):
        if count:
            lines.append(f"- {count} {what}")
    return lines


def _as_dict(found: "FromLog", table: str, *, is_written: bool) -> dict[str, object]:
    return {
        "table": table,
        "written": is_written,
        "added": found.added,
        "present": found.present,
        "unlabelled": found.unlabelled,
        "unusable": found.unusable,
        "incomplete": found.incomplete,
        "left_out": found.left_out,
        "files": list(found.files),
        "changes": [] if found.plan is None else found.plan.changes,
    }
