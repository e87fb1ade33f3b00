"""`mlp predict`: add predictions to a table file."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from platform_lib.cli.groups import json_option
from platform_lib.settings import find_project


@click.command(epilog="Example: mlp predict customers.csv --out predictions.parquet --model my-model@champion")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write: .csv, .tsv or .parquet.")
@click.option(
    "--model",
    "reference",
    metavar="REF",
    help="NAME@alias, @alias or a version number.  [default: the project's champion]",
)
@json_option
def command(*, file: Path, out: Path, reference: str | None, as_json: bool) -> None:
    """Predict a table from a file into a file.

    FILE is CSV or Parquet. The output has its columns, `prediction` and, for classification, `probability_<class>` for
    each class. If a row violates the model's data contract, the error names it and nothing is written. A version that
    did not pass the gate is refused, unless it was promoted with --force.
    """
    project = find_project()
    from platform_lib.data.files.reading import checked_suffix

    checked_suffix(file)
    from platform_lib.cli.console import stderr, working
    from platform_lib.registry.loading import load_approved
    from platform_lib.serving.predict_file import check_output, predict_file

    check_output(out)
    with working("Loading the model"):
        model = load_approved(reference, project)
    with _progress() as progress:
        result = predict_file(model, file, out, progress=progress)
    if as_json:
        made = {"rows": result.rows, "model": model.name, "version": model.version, "out": str(out)}
        click.echo(json.dumps(made | {"columns": list(result.columns)}, ensure_ascii=False))
        return
    click.echo(f"{result.rows} rows predicted by {model.name} version {model.version}: {out}")
    stderr().print(f"Added: {', '.join(result.columns)}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from platform_lib.cli.console import stderr

    console = stderr()
    if not console.is_terminal:
        # One line per million rows shows in a log that it makes progress.
        steps = [0]

        def note(done: int, total: int | None) -> None:
            if done // 1_000_000 > steps[0]:
                steps[0] = done // 1_000_000
                console.print(f"{done} rows done{f' of {total}' if total else ''}")

        yield note
        return
    with Progress(
        TextColumn("Predicting"),
        BarColumn(),
        TextColumn("{task.completed} rows"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("predict", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
