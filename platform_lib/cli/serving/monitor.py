"""`mlp monitor`: what became of a model since it was deployed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_lib.cli.groups import Group
from platform_lib.cli.serving import receive
from platform_lib.errors import UsageError
from platform_lib.names import ExitCode

if TYPE_CHECKING:
    from platform_lib.monitoring.content import MonitorReport
    from platform_lib.settings import Project


@click.group(cls=Group, epilog="Example: mlp monitor report --since 7d")
def command() -> None:
    """Compare live traffic with the rows that the model was trained on."""


@command.command(
    epilog="Example: mlp monitor report --since 30d --window 1d\n\nExample: mlp monitor report @champion --open"
)
@click.argument("reference", required=False)
@click.option("--since", default="7d", show_default=True, metavar="DURATION", help="How far back: 12h, 7d or 4w.")
@click.option("--window", metavar="DURATION", help="Length of one window.  [default: a seventh of the period]")
@click.option(
    "--log",
    "place",
    default=".mlp/log",
    show_default=True,
    help="Request log of the servers: a folder or s3://bucket/prefix.",
)
@click.option("--metric", help="Metric of the live score.  [default: the gate's metric when it was trained]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Also write it as an HTML page.")
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.  [default file: in .mlp/reports]")
def report(
    *,
    reference: str | None,
    since: str,
    window: str | None,
    place: str,
    metric: str | None,
    as_json: bool,
    page: Path | None,
    open_it: bool,
) -> None:
    """Report drift, the live score, its estimate and latency, from the request log.

    REFERENCE is NAME, NAME@alias, NAME/7, @alias or 7; the default is the project's champion. Limits are in
    conf/monitor.yaml. Exit code 1 means that a limit was crossed.
    """
    from datetime import UTC, datetime

    import msgspec

    from platform_lib.cli.console import working
    from platform_lib.cli.serving.monitor_page import show_report
    from platform_lib.monitoring.config import read_monitor_config
    from platform_lib.monitoring.report import build_report
    from platform_lib.monitoring.version import monitored_version
    from platform_lib.monitoring.windows import divide, parse_duration
    from platform_lib.serving.request_log.files import LogFolder
    from platform_lib.settings import find_project, load_settings

    period = parse_duration(since)
    length = parse_duration(window) if window else period / 7
    if length > period:
        raise UsageError(f"--window {window} is longer than --since {since}: choose a shorter one.")
    if page is not None and not page.absolute().parent.is_dir():
        raise UsageError(
            f"--html is {str(page)!r}, but the folder {str(page.parent)!r} does not exist: create it first."
        )
    project = find_project()
    config = read_monitor_config(project)
    windows = divide(period, length, datetime.now(UTC))
    with working("reading the registry"):
        monitored = monitored_version(project, load_settings(), reference, metric)
    with working(f"reading {place}"):
        made = build_report(LogFolder.at(place), monitored, config, windows)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(made)).decode())
    else:
        show_report(made)
    if page is not None or open_it:
        file = page or project.state_dir / "reports" / f"{made.model}-{made.version}-monitoring.html"
        _write_page(made, file, project, open_it=open_it)
    if made.problems:
        click.get_current_context().exit(ExitCode.REFUSED)


def _write_page(report: "MonitorReport", file: Path, project: "Project", *, open_it: bool) -> None:
    """Write the page, and open it or say where it is; on the error output, because --json may own the other one."""
    from platform_lib.cli.browser import show_page
    from platform_lib.files import write_atomically
    from platform_lib.monitoring.page.render import render_report

    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, render_report(report))
    click.echo(f"Page: {file}", err=True)
    if open_it:
        show_page(file.resolve().as_uri(), project.state_dir, only_print=False)


command.add_command(receive.command, "receive")
