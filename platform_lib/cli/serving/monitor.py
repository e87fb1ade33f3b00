"""`mlp monitor`: what became of a model since it was deployed."""

import click

from platform_lib.cli.groups import Group
from platform_lib.cli.serving import receive
from platform_lib.errors import UsageError
from platform_lib.names import ExitCode


@click.group(cls=Group, epilog="Example: mlp monitor report --since 7d")
def command() -> None:
    """Compare live traffic with the rows that the model was trained on."""


@command.command(
    epilog="Example: mlp monitor report --since 30d --window 1d\n\nExample: mlp monitor report @champion --json"
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
def report(
    *, reference: str | None, since: str, window: str | None, place: str, metric: str | None, as_json: bool
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
    if made.problems:
        click.get_current_context().exit(ExitCode.REFUSED)


command.add_command(receive.command, "receive")
