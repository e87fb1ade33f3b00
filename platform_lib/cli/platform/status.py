"""`mlp status`: show the local platform's services and the model that it serves."""

from typing import TYPE_CHECKING

import click

from platform_lib.names import ExitCode
from platform_lib.settings import find_project

if TYPE_CHECKING:
    from platform_lib.local_platform.status import PlatformReport, ServiceReport
    from platform_lib.settings import Project


@click.command(epilog="Example: mlp status --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--env",
    "as_env",
    is_flag=True,
    help='Print the addresses and the login of MLflow and Prefect for a shell, as in `eval "$(mlp status --env)"`.',
)
def command(*, as_json: bool, as_env: bool) -> int:
    """Show the local platform's services, the served model, the registry's champion, and links that log in once.

    Exit code 1 means that a service is not up.
    """
    from platform_lib.local_platform.status import examine

    project = find_project()
    if as_env:
        _show_environment(project)
        return ExitCode.OK
    report = examine(project)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(report).decode())
    else:
        _show(project, report)
    return ExitCode.OK if report.is_up else ExitCode.REFUSED


def _show_environment(project: "Project") -> None:
    import shlex

    from platform_lib.local_login import client_environment

    for name, value in client_environment(project).items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _show(project: "Project", report: "PlatformReport") -> None:
    from datetime import UTC, datetime

    from platform_lib.cli.console import stdout
    from platform_lib.cli.rendering import moment, table
    from platform_lib.local_platform.pages import links

    shown = table(
        "service",
        "state",
        "address",
        "pid",
        "memory",
        "since",
        numeric=("pid", "memory"),
        fixed=("state", "address", "since"),
    )
    for service in report.services:
        shown.add_row(
            service.name,
            service.state,
            service.url or "–",
            str(service.pid or "–"),
            "–" if service.memory_mb is None else f"{service.memory_mb:.0f} MB",
            "–" if service.since is None else moment(datetime.fromtimestamp(service.since, UTC)),
        )
    console = stdout()
    console.print(shown)
    for line in (*_about_the_model(project, report), *_what_to_do(report.services)):
        console.print(line)
    up = {service.name: service.url for service in report.services if service.state == "up" and service.url}
    if pages := links(project, up):
        console.print("Open in a browser; each link logs in once:")
        for title, link in pages.items():
            click.echo(f"  {title:<14}{link}")  # unwrapped, so that it can be clicked


def _about_the_model(project: "Project", report: "PlatformReport") -> list[str]:
    states = {service.name: service.state for service in report.services}
    lines = []
    if states["models"] == "up":
        lines.append(
            f"Served: {project.name} version {report.served}"
            if report.served
            else f"Served: nothing yet ({report.not_served_because})"
        )
    if states["mlflow"] == "up":
        lines.append(
            f"Champion: {project.name} version {report.champion}"
            if report.champion
            else "Champion: none yet; run `mlp train`"
        )
    return lines


def _what_to_do(services: "list[ServiceReport]") -> list[str]:
    if all(service.state == "not started" for service in services):
        return ["Nothing is started; run `mlp up`."]
    lines = [
        f"{service.name} has stopped; see {service.log}. `mlp up` starts it again."
        for service in services
        if service.state == "dead"
    ]
    lines += [
        f"{service.name} is running but does not respond; see {service.log}. If this lasts, run `mlp down`, then "
        "`mlp up`."
        for service in services
        if service.state == "not answering"
    ]
    lines += [f"{service.name} is not started; run `mlp up`." for service in services if service.state == "not started"]
    return lines
