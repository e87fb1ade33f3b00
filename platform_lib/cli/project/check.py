"""`mlp check`: is this project sound, and how to mend it. `soundness` looks."""

import click

from platform_lib.findings import problem_count
from platform_lib.names import ExitCode
from platform_lib.settings import find_project


@click.command(epilog="Example: mlp check --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Look at template, lock, git, data, DVC, configuration and code, and say how to mend what is wrong.

    Exit code 0 when nothing is wrong (notes are not), else 1.
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
        console.print(
            f"{problems} problem{'' if problems == 1 else 's'} to mend." if problems else "This project is sound."
        )
    return ExitCode.REFUSED if problems else ExitCode.OK
