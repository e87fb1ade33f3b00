"""`mlp check`: check the project and print a remedy for each problem."""

import click

from platform_lib.findings import problem_count
from platform_lib.names import ExitCode
from platform_lib.settings import find_project


@click.command(epilog="Example: mlp check --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> int:
    """Check template, lock file, git, data, DVC, configuration, code, registry and keys.

    Prints a remedy for each problem. Exit code 1 means that there is a problem; notes do not count.
    """
    from platform_lib.cli.console import stdout, working

    project = find_project()
    with working("Checking the project"):
        from platform_lib.project_checks.project import examine_project

        findings = examine_project(project)
    problems = problem_count(findings)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(findings).decode())
    else:
        console = stdout()
        colours = {"ok": "green", "note": "yellow", "problem": "bold red"}
        for finding in findings:
            console.print(f"{finding.level:<9}", style=colours[finding.level], end="")
            console.print(f"{finding.area}: {finding.text}" + (f" {finding.remedy}" if finding.remedy else ""))
        console.print(f"{problems} problem{'' if problems == 1 else 's'} found." if problems else "No problems found.")
    return ExitCode.REFUSED if problems else ExitCode.OK
