"""`mlp platform`: examine a cluster, check a running platform and upgrade its custom resource definitions."""

from pathlib import Path

import click

from platform_lib.cli.groups import Group
from platform_lib.errors import UsageError
from platform_lib.findings import Finding, problem_count
from platform_lib.names import ExitCode

_CONTEXT = click.option("--context", default="", help="Kubeconfig context.  [default: the current one]")


@click.group(cls=Group, epilog="Example: mlp platform check --context production")
def command() -> None:
    """Check and maintain a running platform, with your own access to its cluster."""


@command.command(epilog="Example: mlp platform preflight --context production")
@_CONTEXT
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def preflight(*, context: str, as_json: bool) -> int:
    """Examine a cluster before the first `pulumi up`, and print the settings that it needs.

    Needs only a kubeconfig and changes nothing: version, your rights, storage, DNS, network plug-in, and what the
    cluster has already. Exit code 1 means that there is a problem, 3 that the cluster does not respond.
    """
    from platform_lib.cli.console import working
    from platform_lib.operations.kubectl import Kubectl
    from platform_lib.operations.preflight import preflight as examine

    with working("Examining the cluster"):
        found = examine(Kubectl(context))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found).decode())
    else:
        _show(found.findings)
        if found.settings.commands:
            click.echo("\nIn infra_stack/, before `pulumi up`:\n" + "\n".join(found.settings.commands))
        if found.settings.cluster_issuers:
            names = ", ".join(found.settings.cluster_issuers)
            click.echo(f"\nWith certificate_issuer existing, cluster_issuer can be: {names}")
    return ExitCode.REFUSED if problem_count(found.findings) else ExitCode.OK


@command.command(epilog="Example: mlp platform check --send-alert\n\nExample: mlp platform check --inside --json")
@_CONTEXT
@click.option(
    "--inside", is_flag=True, help="Check only inside the cluster, for machines that cannot reach the public addresses."
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CA certificate of the platform, if it is not a public one.",
)
@click.option("--send-alert", is_flag=True, help="Send a test alert to the receivers and check that it was sent.")
@click.option("--http-port", type=click.IntRange(1, 65535), default=80, hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(*, context: str, inside: bool, ca_file: Path | None, send_alert: bool, http_port: int, as_json: bool) -> int:
    """Check a running platform.

    From outside: certificates, the redirect to HTTPS, the login of every UI, closed paths. Inside: services and their
    probes, certificates, network policies and whether they are enforced, the admission policy, teams, versions, and the
    delivery of alerts. Exit code 1 means that there is a problem.
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
@click.option("--dry-run", is_flag=True, help="Ask the cluster what it would change, without changing it.")
@click.option("--chart-mirror", help="Folder or address of the charts.  [default: the platform's setting]")
def upgrade_crds(*, context: str, dry_run: bool, chart_mirror: str | None) -> int:
    """Upgrade custom resource definitions (CRDs) to this library's charts; run it before `pulumi up` of a new version.

    Helm installs a chart's CRDs once and never upgrades them. Existing resources do not change.
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
        except UsageError:  # no platform yet: charts come from their public repositories
            mirror = ""
    count = upgrade_definitions(
        kubectl, Mirrors(chart_mirror=mirror), dry_run=dry_run, say=lambda line: click.echo(line, err=True)
    )
    click.echo(f"{count} custom resource definitions are up to date.")
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
    console.print("No problems found." if count == 0 else f"{count} problem{'s' if count > 1 else ''} found.")
