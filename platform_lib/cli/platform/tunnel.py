"""`mlp tunnel -- COMMAND`: run a command against the cluster's MLflow and Prefect."""

import click

from platform_lib.errors import UsageError


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: mlp tunnel -- mlp train\n\nExample: mlp tunnel --namespace team-red -- mlp promote churn-model/7",
)
@click.option(
    "--namespace",
    help="Your team's namespace.  [default: from the deployment's settings, else from the kubeconfig context]",
)
@click.option("--context", default="", help="Kubeconfig context.  [default: the current one]")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def command(namespace: str | None, context: str, command: tuple[str, ...]) -> int:
    """Run COMMAND against the platform's MLflow and Prefect, with your own access to the cluster.

    Forwards a port to each with kubectl, waits until both respond, and sets MLFLOW_TRACKING_URI (with the team's
    credentials) and PREFECT_API_URL for COMMAND only. Exits with its exit code. Needs no public address: CI jobs and
    people train and promote on a shared platform this way.
    """
    from platform_lib.operations.kubectl import Kubectl
    from platform_lib.operations.settings import deploy_setting
    from platform_lib.operations.tunnel import run_through

    kubectl = Kubectl(context or deploy_setting("context"))
    team = namespace or deploy_setting("namespace") or kubectl.current_namespace()
    if not team:
        raise UsageError("no namespace is set: give your team's, such as --namespace team-red.")
    return run_through(kubectl, team, command, say=lambda line: click.echo(line, err=True))
