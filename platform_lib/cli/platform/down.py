"""`mlp down`: stop the local platform. `local_platform` does the work."""

import click

from platform_lib.settings import find_project


@click.command(epilog="Example: mlp down")
def command() -> None:
    """Stop this project's MLflow, Prefect, model server and schedule runner.

    Runs, models, flow runs and the schedule stay in .mlp/; the next `mlp up` uses them again.
    """
    from platform_lib.cli.console import working
    from platform_lib.local_platform.lifecycle import down

    project = find_project()
    with working("Stopping the platform"):
        stopped = down(project)
    click.echo(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
