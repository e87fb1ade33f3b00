"""`mlp retrain`: train again for a reason, which the version carries."""

import json

import click

from platform_lib.cli.groups import json_option
from platform_lib.cli.training.override_completion import complete_override
from platform_lib.cli.training.train import result_json, show_result
from platform_lib.names import ExitCode
from platform_lib.settings import find_project, load_settings


@click.command(epilog='Example: mlp retrain --reason "prices changed in May"')
@click.argument("overrides", nargs=-1, shell_complete=complete_override)
@click.option("--reason", required=True, metavar="TEXT", help="Why; the version's tag mlp.retrain_reason.")
@click.option(
    "--because",
    "cause",
    type=click.Choice(["drift", "live-score", "schedule", "new-data", "person"]),
    default="person",
    show_default=True,
    help="What asked for it.",
)
@click.option("--window", default="", metavar="TEXT", help="The period that the reason is about, such as 24h.")
@click.option("--alert", default="", metavar="TEXT", help="The alert that asked for it.")
@click.option(
    "--log",
    "place",
    default=".mlp/log",
    show_default=True,
    help="Request log with new rows: a folder of the project or s3://bucket/prefix.",
)
@json_option
def command(
    *, overrides: tuple[str, ...], reason: str, cause: str, window: str, alert: str, place: str, as_json: bool
) -> int:
    """Train as `mlp train` does, and record the reason with the version.

    conf/monitor.yaml decides on the rest: new_rows appends labelled rows of the request log first, and promote: auto
    makes a version that passes the gate the champion; otherwise it is the candidate. OVERRIDES are as for `mlp train`.
    Exit code 1 means that the gate did not pass the version: serving does not change.
    """
    from platform_lib.cli.console import stderr, working
    from platform_lib.errors import UsageError

    if not reason.strip():
        raise UsageError('--reason is empty, expected a sentence, such as --reason "prices changed in May".')
    project = find_project()
    with working("Loading the libraries"):
        from platform_lib.monitoring.retraining.retrain import Reason, retrain
    why = Reason(text=reason.strip(), cause=cause, window=window, alert=alert)  # type: ignore[arg-type]
    result = retrain(
        project, load_settings(), why, overrides=overrides, log=place, progress=working, note=stderr().print
    )
    if as_json:
        click.echo(json.dumps(result_json(result), ensure_ascii=False))
    else:
        show_result(project, result)
    return ExitCode.OK if result.passed else ExitCode.REFUSED
