"""`mlp log`: show and compact a model server's request log."""

from pathlib import Path

import click

from platform_lib.cli.groups import Group

_PLACE = click.argument("place", default=".mlp/log")


@click.group(cls=Group, epilog="Example: mlp log show s3://bucket/log --last 20")
def command() -> None:
    """Show and compact the request log of the model server.

    PLACE is a folder or s3://bucket/prefix.  [default: .mlp/log]
    """


@command.command(epilog="Example: mlp log show --last 5\n\nExample: mlp log show --labels --out labels.parquet")
@_PLACE
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="Number of latest rows to print.")
@click.option("--labels", is_flag=True, help="Show labels instead of predictions.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write all rows to this Parquet file instead of printing.")
def show(*, place: str, last: int, labels: bool, out: str | None) -> None:
    """Print the latest rows as JSON lines, or write all rows to a file."""
    import json

    from platform_lib.cli.console import working
    from platform_lib.serving.request_log.files import LABELS, PREDICTIONS, LogFolder

    with working(f"reading {place}"):
        table = LogFolder.at(place).read(LABELS if labels else PREDICTIONS)
    if out is not None:
        import pyarrow.parquet as pq

        from platform_lib.files import atomic_replacement

        with atomic_replacement(Path(out)) as draft:
            pq.write_table(table, draft)
        click.echo(f"Wrote {len(table)} rows to {out}.", err=True)
        return
    for row in table.slice(max(0, len(table) - last)).to_pylist():
        row["time"] = row["time"].isoformat()
        if isinstance(row.get("probabilities"), list):
            row["probabilities"] = dict(row["probabilities"])
        click.echo(json.dumps(row, ensure_ascii=False))


@command.command(epilog="Example: mlp log labels truth.csv")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_PLACE
def labels(*, file: Path, place: str) -> None:
    """Add ground truth from FILE, CSV or Parquet, to the request log.

    FILE has the columns request_id and label, and row (the row's position in its request) where requests had several
    rows. Of several labels for one row, the latest counts.
    """
    from platform_lib.cli.console import working
    from platform_lib.monitoring.label_file import add_labels
    from platform_lib.serving.request_log.files import LogFolder

    with working(f"reading {file.name}"):
        count = add_labels(LogFolder.at(place), file)
    click.echo(f"Added {count} labels to {place}.")


@command.command(epilog="Example: mlp log compact s3://bucket/log")
@_PLACE
def compact(place: str) -> None:
    """Merge the files of each past day into one; today's files are left alone."""
    from platform_lib.cli.console import working
    from platform_lib.serving.request_log import compaction
    from platform_lib.serving.request_log.files import LABELS, PREDICTIONS, LogFolder

    folder = LogFolder.at(place)
    for kind in (PREDICTIONS, LABELS):
        with working(f"merging {kind} in {place}"):
            before, after = compaction.compact(folder, kind)
        click.echo(f"{kind}: {before} files before, {after} after.")
