"""`mlp doctor`: check this machine's prerequisites and print a remedy for each problem."""

from typing import TYPE_CHECKING

import click

from platform_lib.errors import NotFound
from platform_lib.findings import Finding, problem_count
from platform_lib.names import ExitCode
from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.settings import Project


@click.command(epilog="Example: mlp doctor --no-network")
@click.option("--no-network", is_flag=True, help="Skip checks that need the network.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, no_network: bool, as_json: bool) -> int:
    """Check tools, libraries, ports, disk, memory, network, clock and, in a project, its local registry.

    Prints a remedy for each problem. Also works outside a project. Exit code 1 means that there is a problem; notes do
    not count.
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
        console.print("Not inside a project: package manager, DVC remotes and local platform were not checked.")
    count = problem_count(findings)
    console.print("No problems found." if count == 0 else f"{count} problem{'s' if count > 1 else ''} found.")
