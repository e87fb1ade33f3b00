"""`mlp doctor`: is this machine able to run the platform, and how to mend it. `local_platform` looks."""

from typing import TYPE_CHECKING

import click

from platform_lib.errors import NotFound
from platform_lib.findings import Finding, problem_count
from platform_lib.names import ExitCode
from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.settings import Project


@click.command(epilog="Example: mlp doctor --no-network")
@click.option("--no-network", is_flag=True, help="Ask no address outside this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(no_network: bool, as_json: bool) -> int:
    """Look at tools, libraries, ports, disk, memory, network and clock, and say how to mend what is wrong.

    Works outside a project too. Exit code 0 when nothing is wrong (notes are not), else 1.
    """
    from platform_lib.cli.console import working
    from platform_lib.local_platform.machine import examine_machine
    from platform_lib.local_platform.network import examine_network

    project = _project()
    with working("Examining this machine"):
        findings = examine_machine(project)
        if not no_network:
            findings += examine_network(project, load_settings())
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(findings).decode())
    else:
        _show(project, findings)
    return ExitCode.REFUSED if problem_count(findings) else ExitCode.OK


def _project() -> "Project | None":
    try:
        return find_project()
    except NotFound:
        return None


def _show(project: "Project | None", findings: list[Finding]) -> None:
    from platform_lib.cli.console import stdout

    console = stdout()
    colours = {"ok": "green", "note": "yellow", "problem": "bold red"}
    for finding in findings:
        console.print(f"{finding.level:<9}", style=colours[finding.level], end="")
        console.print(f"{finding.area}: {finding.text}")
        if finding.remedy:
            console.print(f"{'':9}→ {finding.remedy}")
    if project is None:
        console.print("Not inside a project: its package manager, its remotes and its platform were not looked at.")
    count = problem_count(findings)
    console.print("This machine is able." if count == 0 else f"{count} problem{'s' if count > 1 else ''} to mend.")
