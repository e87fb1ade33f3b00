"""`mlp sweep`: search hyperparameters and print the command that trains the best."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from platform_lib.cli.groups import json_option
from platform_lib.cli.training.on_platform import Place, place_of, platform_options, run_on_platform
from platform_lib.cli.training.override_completion import complete_override
from platform_lib.errors import UsageError
from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.settings import Project
    from platform_lib.training.search.search import SearchResult, Trial

INTERRUPTED = 130
_SHOWN = 10
_ENDS = {
    "exhausted": "all combinations were tried",
    "timeout": "the time limit was reached",
    "interrupt": "stopped",
}


@click.command(epilog="Example: mlp sweep model=logistic,forest --trials 40")
@click.argument("overrides", nargs=-1, shell_complete=complete_override)
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="Maximum number of trials.  [default: search.trials in conf/search]",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="Start no more trials after this many seconds.",
)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Worker processes.  [default: one per core]")
@click.option(
    "--train", "train_best", is_flag=True, help="Then train, gate and register the best, as `mlp train` does."
)
@platform_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    overrides: tuple[str, ...],
    trials: int | None,
    timeout_s: float | None,
    jobs: int | None,
    train_best: bool,
    on: str | None,
    image: str | None,
    repository: str | None,
    pool: str | None,
    as_json: bool,
) -> None:
    """Search the ranges in conf/search by cross-validation on the training rows.

    OVERRIDES are as for `mlp train`; a comma-separated list of choices, such as model=logistic,forest, is searched too.
    The held-out rows are never used. The same seed gives the same result for any --jobs, unless --timeout or Ctrl-C
    ends the search early. With --on platform, a pod of the team's work pool searches, as with `mlp train`.
    """
    from platform_lib.cli.console import stderr, working

    if as_json and train_best:
        raise UsageError("--json reports a search, so it does not go with --train: pass `best` to `mlp train --json`.")
    project, settings, place = find_project(), load_settings(), place_of(on, image, repository, pool)
    if place.is_platform and (train_best or jobs):
        raise UsageError("--train and --jobs do not go with --on platform, where a search has the CPUs of its pod.")
    with working("Composing the configuration"):
        from joblib import cpu_count

        from platform_lib.training.search.search import candidates
        from platform_lib.training.search.tracked_search import run_sweep

        tried = candidates(project, overrides)
    if place.is_platform:
        _on_platform(
            project, place, {"overrides": list(overrides), "trials": trials, "timeout_s": timeout_s}, as_json=as_json
        )
        return
    search = tried[0].config.search
    count = search.trials if trials is None else trials
    limit_s = search.timeout_s if timeout_s is None else timeout_s
    metric = tried[0].config.gate.metric
    with _progress(count, metric) as on_trial:
        result, run_id = run_sweep(
            project, settings, tried, trials=count, timeout_s=limit_s, jobs=jobs or cpu_count(), on_trial=on_trial
        )
    if result.ended in _ENDS:
        stderr().print(f"Ended after {len(result.trials)} trials: {_ENDS[result.ended]}.")
    if as_json:
        click.echo(json.dumps(_as_dict(result, run_id), ensure_ascii=False))
    elif result.best is not None:
        _show(result, run_id)
    if result.ended == "interrupt":
        ctx.exit(INTERRUPTED)
    if train_best and result.best is not None:
        from platform_lib.cli.training.train import command as train

        ctx.exit(train.main(args=list(result.best.overrides), standalone_mode=False) or 0)


def _on_platform(project: "Project", place: Place, parameters: dict[str, Any], *, as_json: bool) -> None:
    ran = run_on_platform(project, load_settings(), place, "sweep_flow", parameters)
    click.echo(json.dumps(ran.as_dict(), ensure_ascii=False) if as_json else ran.state.message)


@contextmanager
def _progress(count: int, metric: str) -> Iterator[Callable[["Trial"], None]]:
    """Show the trials as they end: a progress bar on a terminal, else one line per trial."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from platform_lib.cli.console import stderr
    from platform_lib.training.search.search import ranked

    console = stderr()
    done: list[Trial] = []

    def line(trial: "Trial") -> str:
        what = " ".join([*trial.choices.values(), *(f"{name}={_text(value)}" for name, value in trial.params.items())])
        return (
            f"trial {trial.number:>3}: {metric} {trial.mean:.4f} ± {trial.deviation:.4f}  {what}"
            if not trial.error
            else f"trial {trial.number:>3}: failed: {trial.error}"
        )

    if not console.is_terminal:
        console.print(f"Searching, at most {count} trials")
        start = time.monotonic()

        def report(trial: "Trial") -> None:
            done.append(trial)
            console.print(
                f"{len(done)}/{count}, {time_left(time.monotonic() - start, len(done), count)}: {line(trial)}"
            )

        yield report
        return
    columns = (
        TextColumn("Searching"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("about"),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=count)

        def advance(trial: "Trial") -> None:
            done.append(trial)
            if trial.error:
                progress.console.print(line(trial))
            best = next(iter(ranked(done, metric)), None)
            progress.update(task, advance=1, description=f"best {metric} {best.mean:.4f}" if best else "")

        yield advance


def time_left(elapsed_s: float, done: int, count: int) -> str:
    """Estimate when a search ends, from the trials so far, such as `about 40 s left`."""
    seconds = elapsed_s / done * (count - done)
    if done >= count:
        return "done"
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


def _as_dict(result: "SearchResult", run_id: str) -> dict[str, Any]:
    return {
        "metric": result.metric,
        "folds": result.folds,
        "ended": result.ended,
        "run_id": run_id,
        "best": None if result.best is None else list(result.best.overrides),
        "trials": [
            {
                "number": trial.number,
                "choices": trial.choices,
                "params": trial.params,
                "mean": None if trial.error else trial.mean,
                "deviation": None if trial.error else trial.deviation,
                "error": trial.error,
                "seconds": trial.seconds,
                "overrides": list(trial.overrides),
            }
            for trial in result.trials
        ],
    }


def _show(result: "SearchResult", run_id: str) -> None:
    """Print the best trials and the command that trains the first of them."""
    from rich.table import Table

    from platform_lib.cli.console import stdout

    console = stdout()
    best = result.ranked[:_SHOWN]
    choices = list(dict.fromkeys(name for trial in best for name in trial.choices))
    params = list(dict.fromkeys(name for trial in best for name in trial.params))
    table = Table(box=None, pad_edge=False)
    for column in ("trial", result.metric, "± folds", *choices, *params):
        table.add_column(column, justify="right" if column in ("trial", result.metric, "± folds") else "left")
    for trial in best:
        values = [trial.choices.get(name, "") for name in choices]
        values += [_text(trial.params[name]) if name in trial.params else "" for name in params]
        table.add_row(str(trial.number), f"{trial.mean:.4f}", f"{trial.deviation:.4f}", *values)
    console.print(table)
    failed = len(result.trials) - len(result.ranked)
    console.print(
        f"{len(result.trials)} trials, {failed} failed; {result.folds} folds of the training rows; MLflow run {run_id}"
    )
    console.print("Train the best with:")
    console.print(f"  mlp train {' '.join(shlex.quote(text) for text in result.ranked[0].overrides)}".rstrip())


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
