"""`mlp train`: train, evaluate, gate and register a model."""

import json
from typing import TYPE_CHECKING, Any

import click

from platform_lib.cli.training.on_platform import Place, place_of, platform_options, run_on_platform
from platform_lib.cli.training.override_completion import complete_override
from platform_lib.names import ExitCode
from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.settings import Project
    from platform_lib.training.steps import TrainingResult


@click.command(
    epilog="Example: mlp train model=forest model.params.n_estimators=300 seed=1\n\n"
    "Example: mlp train model=forest --on platform --repository registry.example.com/red/churn-model"
)
@click.argument("overrides", nargs=-1, shell_complete=complete_override)
@click.option(
    "--no-promote",
    is_flag=True,
    help="Register a passing version as the candidate only. A shared registry always does this.",
)
@click.option("--allow-dirty", is_flag=True, help="Allow uncommitted code on a shared registry.")
@click.option(
    "--new-baseline",
    is_flag=True,
    help="Gate by thresholds only, for a new table or target that the champion cannot be evaluated on.",
)
@platform_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    overrides: tuple[str, ...],
    no_promote: bool,
    allow_dirty: bool,
    new_baseline: bool,
    on: str | None,
    image: str | None,
    repository: str | None,
    pool: str | None,
    as_json: bool,
) -> int:
    """Train a model, evaluate it on held-out rows, and register it.

    OVERRIDES change conf/ for this run, in Hydra's syntax: model=forest, seed=1, gate.delta=0.02.
    Exit code 1 means that the gate refused the model or could not tell whether it is worse than the champion: it is
    registered without an alias, and serving does not change.

    With --on platform, a pod of the team's work pool trains: with the image `train` of the project, built and pushed
    unless --image names one, and with the resources in conf/platform.yaml. The log is shown here; the exit code is 3 if
    the run failed. Ctrl-C offers to cancel it.
    """
    from platform_lib.cli.console import stderr, working

    project, place = find_project(), place_of(on, image, repository, pool)
    if place.is_platform:
        parameters = {"overrides": list(overrides), "allow_dirty": allow_dirty, "new_baseline": new_baseline}
        return _on_platform(project, place, parameters, as_json=as_json)
    with working("Loading the libraries"):
        from platform_lib.training.plan import TrainingRequest
        from platform_lib.training.prefect.flow import train

    request = TrainingRequest(
        overrides=overrides, promote=not no_promote, allow_dirty=allow_dirty, new_baseline=new_baseline
    )
    result = train(project, load_settings(), request, progress=working, note=stderr().print)
    if as_json:
        click.echo(json.dumps(result_json(result), ensure_ascii=False))
    else:
        show_result(project, result)
    return ExitCode.OK if result.passed else ExitCode.REFUSED


def _on_platform(project: "Project", place: Place, parameters: dict[str, Any], *, as_json: bool) -> int:
    from platform_lib.cli.console import working
    from platform_lib.training.config.compose import compose

    with working("Checking the configuration"):
        compose(project, parameters["overrides"])  # a typo must be found before an image is built
    ran = run_on_platform(project, load_settings(), place, "train_flow", parameters)
    passed = ran.state.name == "Completed"
    if as_json:
        click.echo(json.dumps({**ran.as_dict(), "passed": passed}, ensure_ascii=False))
    else:
        click.echo(ran.state.message)
    return ExitCode.OK if passed else ExitCode.REFUSED


def show_result(project: "Project", result: "TrainingResult") -> None:
    """Print scores, verdict and next steps of a training, and links to its pages."""
    from platform_lib.local_login import login_link

    _show(result)
    if result.report:
        click.echo(f"Report: {login_link(project, result.report, 'mlflow')}")
    if result.page:
        click.echo(f"In MLflow: {login_link(project, result.page, 'mlflow')}")  # unwrapped, so that it can be clicked


def _show(result: "TrainingResult") -> None:
    import msgspec

    from platform_lib.cli.console import stderr, stdout
    from platform_lib.cli.rendering import metrics_table, show, verdict_lines

    console = stdout()
    evaluation, verdict = msgspec.to_builtins(result.evaluation), msgspec.to_builtins(result.verdict)
    console.print(f"On {result.evaluation.rows} held-out rows:")
    show(console, metrics_table(evaluation))
    console.print()
    for line in verdict_lines(verdict):
        console.print(line)
    console.print()
    for line in result.diagnosis:
        console.print(line)
    if result.diagnosis:
        console.print()
    for notice in result.notices:
        stderr().print(f"warning: {notice}", style="yellow")
    console.print(_outcome(result))
    for step in _next_steps(result):
        console.print(f"  {step}")


def _outcome(result: "TrainingResult") -> str:
    about = f"{result.name} version {result.version}"
    if not result.passed:
        kept = (
            f"version {result.champion_before} stays the champion"
            if result.champion_before
            else "there is no champion yet"
        )
        return f"{about} is registered without an alias; {kept}. Next:"
    if not result.promoted:
        return f"{about} is registered as candidate. Next:"
    return (
        f"{about} is now the champion"
        + (f", version {result.champion_before} is previous" if result.champion_before else "")
        + ". Next:"
    )


def _next_steps(result: "TrainingResult") -> list[str]:
    this = f"{result.name}/{result.version}"
    shown = (f"mlp models show {this} --rows", "where it errs, and on which rows")
    if not result.passed:
        steps = [*((step.command, step.reason) for step in result.next_steps), shown]
    elif not result.promoted:
        steps = [("mlp promote " + this, "make it the champion"), shown]
    else:
        steps = [("mlp serve", "serve it over HTTP"), shown]
    width = max(len(command) for command, _ in steps)
    return [f"{command:<{width}}  {why}" for command, why in steps]


def result_json(result: "TrainingResult") -> dict[str, Any]:
    """What `--json` prints of a training."""
    import msgspec

    return {
        "name": result.name,
        "version": result.version,
        "run_id": result.run_id,
        "page": result.page,
        "report": result.report,
        "passed": result.passed,
        "promoted": result.promoted,
        "champion_before": result.champion_before,
        "metrics": result.evaluation.metrics,
        "notices": result.notices,
        "diagnosis": result.diagnosis,
        "verdict": msgspec.to_builtins(result.verdict),
        "next": [{"command": step.command, "reason": step.reason} for step in result.next_steps],
    }
