"""The monitoring report as text for 80 columns."""

from collections.abc import Sequence

import click

from platform_lib.cli.console import stdout
from platform_lib.cli.rendering import moment, number, show, table
from platform_lib.monitoring.content import MonitorReport
from platform_lib.monitoring.drift import ColumnDrift
from platform_lib.monitoring.live_score import LiveScore
from platform_lib.monitoring.wording import biggest_change

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 12
_WINDOWS = 14
"""Windows shown; --json has all."""


def show_report(report: MonitorReport) -> None:
    """Print a report: problems first, then drift, score and traffic."""
    console = stdout()
    click.echo(
        f"{report.model} version {report.version}, {moment(report.since)} to {moment(report.until)}: "
        f"{sum(report.rows):,} rows in {len(report.windows)} windows"
    )
    click.echo()
    for problem in report.problems:
        click.echo(f"- {problem}")
    if not report.problems:
        click.echo("No limit is crossed.")
    click.echo("\nDrift")
    drift = table(
        "column", "PSI", "windows", "missing", "outside", "largest change", numeric=("PSI", "missing", "outside")
    )
    for column in report.columns[:_COLUMNS]:
        drift.add_row(*_drift_cells(column))
    show(console, drift)
    if len(report.columns) > _COLUMNS:
        click.echo(f"{len(report.columns) - _COLUMNS} columns with a smaller index are not shown; --json has all.")
    if (joint := report.joint) is not None:
        click.echo(
            f"All features together: a classifier tells the latest rows from held-out ones with an area under the ROC "
            f"curve of {joint.auc:.3f} ± {joint.error:.3f} (0.5 is not at all; limit {joint.limit:g})."
        )
    _show_score(report, report.score)
    click.echo("\nTraffic")
    traffic = table("version", "requests", "rows", "p50 ms", "p99 ms", numeric=("requests", "rows", "p50 ms", "p99 ms"))
    for own in report.traffic:
        traffic.add_row(own.version, f"{own.requests:,}", f"{own.rows:,}", f"{own.p50_ms:.2f}", f"{own.p99_ms:.2f}")
    show(console, traffic)
    for note in report.notes:
        click.echo(f"\nNote: {note}")


def _drift_cells(column: ColumnDrift) -> Sequence[str]:
    return (
        column.name,
        f"{column.psi:.3f}{' !' if column.drifted else '  '}",
        _spark(column.windows[-_WINDOWS:], column.limit),
        f"{column.missing:.1%}",
        f"{column.outside:.1%}",
        biggest_change(column),
    )


def _spark(values: Sequence[float | None], limit: float) -> str:
    """One sign per window: a dot without enough rows, full height at twice the limit."""
    return "".join(
        "·" if value is None else _BARS[min(len(_BARS) - 1, int(value / (2 * limit) * len(_BARS)))] for value in values
    )


def _show_score(report: MonitorReport, score: LiveScore) -> None:
    known = "" if score.held_out is None else f"; {number(score.held_out)} on the held-out rows"
    click.echo(f"\nScore: {score.metric}{known}")
    shown = table(
        "window",
        "rows",
        "labelled",
        "score",
        "±",
        "estimate",
        "est. ±",
        numeric=("rows", "labelled", "score", "±", "estimate", "est. ±"),
    )
    parts = [(start, part) for start, part in zip(report.windows, score.windows, strict=True) if part.rows]
    for start, part in [*parts[-_WINDOWS:], (None, score.total)]:
        shown.add_row(
            "all" if start is None else moment(start),
            f"{part.rows:,}",
            f"{part.labelled:,}",
            number(part.score),
            number(part.error),
            number(part.estimate),
            number(part.estimate_error),
        )
    show(stdout(), shown)
    if score.assumption:
        click.echo(score.assumption)
    if score.label_delay_s is not None:
        click.echo(f"Half of the labels came within {_duration(score.label_delay_s)}.")


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
