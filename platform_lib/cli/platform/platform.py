"""`mlp platform`: check a running platform, and upgrade its custom resource definitions. `operations` does both."""

from pathlib import Path

import click

from platform_lib.errors import UsageError
from platform_lib.findings import Finding, problem_count
from platform_lib.names import ExitCode

_CONTEXT = click.option("--context", default="", help="Context of the kubeconfig.  [default: the current one]")


@click.group(epilog="Example: mlp platform check --context production")
def command() -> None:
    """Look after a running platform, with your own access to its cluster."""


@command.command(epilog="Example: mlp platform check --send-alert\n\nExample: mlp platform check --inside --json")
@_CONTEXT
@click.option(
    "--inside", is_flag=True, help="Ask only the cluster, where the public addresses cannot be reached from here."
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Who signed the certificates, when no public authority did.",
)
@click.option("--send-alert", is_flag=True, help="Send a test alert to people, and see that it went out.")
@click.option("--http-port", type=click.IntRange(1, 65535), default=80, hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(context: str, inside: bool, ca_file: Path | None, send_alert: bool, http_port: int, as_json: bool) -> int:
    """Is the platform as it should be?

    From outside: certificates, the way to https, the login before every UI, closed doors. Inside: services and their probes, certificates,
    network policies and whether they are enforced, admission policy, teams, versions, and whether alerts arrive. Exit code 1 on a problem.
    """
    from platform_lib.cli.console import working
    from platform_lib.operations.kubectl import Kubectl
    from platform_lib.operations.platform_check.examine import examine_platform

    with working("Examining the platform"):
        findings = list(
            examine_platform(
                Kubectl(context), outside=not inside, authority=ca_file, send_alert=send_alert, http_port=http_port
            )
        )
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(findings).decode())
    else:
        _show(findings)
    return ExitCode.REFUSED if problem_count(findings) else ExitCode.OK


@command.command("upgrade-crds", epilog="Example: mlp platform upgrade-crds --dry-run")
@_CONTEXT
@click.option("--dry-run", is_flag=True, help="Let the cluster say what it would do.")
@click.option("--chart-mirror", help="Folder or address that the charts come from.  [default: what the platform says]")
def upgrade_crds(context: str, dry_run: bool, chart_mirror: str | None) -> int:
    """Bring the custom resource definitions to the charts that this library installs; do it before `pulumi up` of a new version.

    Helm installs a chart's definitions once and never upgrades them. Existing resources stay as they are.
    """
    from platform_lib.infra.base.mirrors import Mirrors
    from platform_lib.infra.base.naming import INGRESS_NAMESPACE
    from platform_lib.operations.crds import upgrade_definitions
    from platform_lib.operations.kubectl import Kubectl
    from platform_lib.operations.tunnel import find_outputs

    kubectl = Kubectl(context)
    mirror = chart_mirror
    if mirror is None:
        try:
            mirror = find_outputs(kubectl, INGRESS_NAMESPACE).chart_mirror
        except UsageError:  # no platform yet: charts come from their own homes
            mirror = ""
    count = upgrade_definitions(
        kubectl, Mirrors(chart_mirror=mirror), dry_run=dry_run, say=lambda line: click.echo(line, err=True)
    )
    click.echo(f"{count} definitions are up to date.")
    return ExitCode.OK


def _show(findings: list[Finding]) -> None:
    from platform_lib.cli.console import stdout
    from platform_lib.cli.rendering import show, table

    console = stdout()
    shown = table("level", "area", "finding", "remedy", fixed=("level", "area"))
    for finding in findings:
        shown.add_row(finding.level, finding.area, finding.text, finding.remedy)
    show(console, shown)
    count = problem_count(findings)
    console.print(
        "The platform is as it should be." if count == 0 else f"{count} problem{'s' if count > 1 else ''} to mend."
    )
