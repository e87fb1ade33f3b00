"""`mlp ci`: the steps of a repository's CI that a workflow file cannot express in one line."""

import os
from pathlib import Path

import click

from platform_lib.ci.runner import find_runner
from platform_lib.cli.groups import Group, json_option
from platform_lib.errors import UsageError
from platform_lib.names import Env, ExitCode
from platform_lib.settings import find_project, load_settings


@click.group(cls=Group, epilog="Example: mlp ci train --out build/ci && mlp ci comment build/ci/candidate.md")
def command() -> None:
    """Train a candidate, comment on a pull request, and scan, in GitHub Actions, GitLab CI or anywhere else."""


@command.command(epilog="Example: mlp ci train --out build/ci")
@click.argument("overrides", nargs=-1)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/ci"),
    show_default=True,
    help="Folder for candidate.md and report.html.",
)
@click.option("--register", is_flag=True, help="Register the version in the team's registry, as `mlp train` does.")
def train(*, overrides: tuple[str, ...], out: Path, register: bool) -> int:
    """Train a candidate, and compare it with the team's champion without registering it for the team.

    The team's registry is MLFLOW_TRACKING_URI. Without it, or without a champion in it, only the thresholds decide,
    and the output says so. OVERRIDES change conf/, as in `mlp train`. Writes candidate.md, a page for the pull request,
    and the report. Exit code 1 means that the gate refused the model or could not tell.
    """
    from platform_lib.cli.console import stderr, working

    project, runner = find_project(), find_runner(os.environ)
    with working("Loading the libraries"):
        from platform_lib.ci.candidate import train_candidate, why_no_training
        from platform_lib.ci.page import candidate_page, skipped_page
    out.mkdir(parents=True, exist_ok=True)
    if (reason := why_no_training(project)) is not None:
        _publish(out, skipped_page(project.name, reason), runner.summary)
        _say(reason, annotate=runner.forge == "github")
        return ExitCode.OK
    candidate = train_candidate(
        project, load_settings(), overrides, register=register, progress=working, note=stderr().print
    )
    if candidate.report is not None:
        (out / "report.html").write_text(candidate.report, encoding="utf-8")
    page = candidate_page(candidate, run_url=runner.run_url)
    _publish(out, page, runner.summary)
    click.echo(page)
    _say(candidate.compared_with, annotate=runner.forge == "github")
    return ExitCode.OK if candidate.result.passed else ExitCode.REFUSED


def _publish(out: Path, page: str, summary: Path | None) -> None:
    (out / "candidate.md").write_text(page, encoding="utf-8")
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(page)


def _say(sentence: str, *, annotate: bool) -> None:
    """Print a sentence; on GitHub as an annotation, which the page of the run shows."""
    click.echo(f"::notice title=mlp ci::{sentence}" if annotate else sentence)


@command.command(epilog="Example: mlp ci comment build/ci/candidate.md")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def comment(*, file: Path) -> None:
    """Write FILE as a comment on the pull request of this run, or replace the comment of an earlier run.

    Uses GITHUB_TOKEN on GitHub and MLP_GITLAB_TOKEN on GitLab. Without a token or a pull request, it says so and
    succeeds.
    """
    from platform_lib.ci.comment import why_no_comment, write_comment

    project, runner = find_project(), find_runner(os.environ)
    if (reason := why_no_comment(runner)) is not None:
        _say(reason, annotate=runner.forge == "github")
        return
    done = write_comment(runner, project.name, file.read_text(encoding="utf-8"))
    click.echo(f"The comment on #{runner.pull_request} was {done}.")


@command.command(epilog="Example: mlp ci secrets")
@json_option
def secrets(*, as_json: bool) -> int:
    """Scan the files in git for passwords, tokens and keys.

    Exit code 1 means that there are some. Accept a false one with a comment `pragma: allowlist secret` on its line, or
    list all present ones in `.secrets.baseline` with `uvx detect-secrets scan`.
    """
    import msgspec

    from platform_lib.ci.scans import find_secrets
    from platform_lib.cli.console import working

    with working("Scanning for secrets"):
        found = find_secrets(find_project())
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for each in found:
            click.echo(f"{each.file}:{each.line}: {each.kind}")
        remedy = ": revoke them, because git keeps them even after a later commit removes them"
        click.echo(f"{len(found)} found{remedy}." if found else "No secrets found.")
    return ExitCode.REFUSED if found else ExitCode.OK


@command.command(epilog="Example: mlp ci audit --ignore GHSA-xxxx-xxxx-xxxx")
@click.option("--ignore", "ignored", multiple=True, metavar="ID", help="Accept this vulnerability.")
@click.option(
    "--osv-url",
    envvar=Env.OSV_URL,
    default="",
    help="Server with OSV's query API, for networks that cannot reach the public one (MLP_OSV_URL).",
)
@json_option
def audit(*, ignored: tuple[str, ...], osv_url: str, as_json: bool) -> int:
    """Look for known vulnerabilities of the installed dependencies.

    Exit code 1 means that there are some.
    """
    import msgspec

    from platform_lib.ci.scans import find_vulnerabilities
    from platform_lib.cli.console import working

    if any(not name.strip() for name in ignored):
        raise UsageError("--ignore is empty, expected the id of a vulnerability such as GHSA-xxxx-xxxx-xxxx.")
    with working("Looking for known vulnerabilities"):
        found = find_vulnerabilities(find_project(), ignored=ignored, osv_url=osv_url)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for each in found:
            remedy = f"update to {' or '.join(each.fixed_in)}" if each.fixed_in else "there is no fixed version yet"
            click.echo(f"{each.distribution} {each.version}: {each.id}; {remedy}")
        click.echo(f"{len(found)} known vulnerabilities." if found else "No known vulnerabilities.")
    return ExitCode.REFUSED if found else ExitCode.OK


@command.command(epilog="Example: mlp ci kubeconfig --server https://cluster.example.com --audience mlp")
@click.option("--server", required=True, help="Address of the cluster's API server.")
@click.option("--authority", default="", help="CA certificate of the server, as PEM.  [default: a public one]")
@click.option("--audience", default="mlp", show_default=True, help="Audience that the API server expects in tokens.")
@click.option("--namespace", default="", help="Your team's namespace.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("~/.kube/config"),
    show_default=True,
    help="File to write; must not exist.",
)
def kubeconfig(*, server: str, authority: str, audience: str, namespace: str, out: Path) -> None:
    """Write a kubeconfig that logs in with the identity of this CI run, which GitHub or GitLab issues.

    There is no key to store: kubectl and Pulumi ask `mlp ci token` for a token of some minutes whenever they need one.
    The API server must trust the issuer, and give its group the rights of the team's CI.
    """
    from platform_lib.ci.cluster import write_kubeconfig

    file = out.expanduser()
    write_kubeconfig(file, server=server, authority=authority, audience=audience, namespace=namespace)
    click.echo(f"{file} logs in to {server} as this run.")


@command.command(epilog="Example: mlp ci token --audience mlp")
@click.option("--audience", default="mlp", show_default=True, help="Audience of the token.")
def token(*, audience: str) -> None:
    """Print the identity token of this CI run, as a credential plugin of kubectl does."""
    import json

    from platform_lib.ci.cluster import exec_credential

    click.echo(json.dumps(exec_credential(os.environ, audience)))
