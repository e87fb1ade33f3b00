"""A monitoring report in sentences: what crossed a limit, and what it cannot say."""

from collections.abc import Sequence

import numpy as np

from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.content import Monitored, MonitorReport
from platform_lib.monitoring.drift import ColumnDrift
from platform_lib.monitoring.held_out.joint import JointDrift
from platform_lib.monitoring.live_score import LiveScore


def notes_on(monitored: Monitored, rows: int, score: LiveScore, config: MonitorConfig) -> list[str]:
    """What the report of n rows cannot say, and why."""
    notes = []
    if monitored.reference is None:
        notes.append(
            f"The training of version {monitored.version} stored no held-out rows, so drift is tested on bins only, "
            "not on rows, and not for all features together."
        )
    private = [name for name in monitored.contract.features if monitored.contract.columns[name].is_private]
    if private:
        notes.append(f"Not logged, because the contract says so: {', '.join(private)}.")
    if rows < config.min_rows:
        notes.append(f"{rows} rows are too few to judge drift; conf/monitor.yaml asks for {config.min_rows}.")
    if score.total.labelled < config.min_labels:
        notes.append(
            f"{score.total.labelled} rows have a label, too few for a live score; send labels with POST /labels or "
            f"`mlp log labels`."
        )
    if score.unlike:
        notes.append(
            f"Rows with a label differ from those without in {listed(score.unlike)}: the live score speaks for the "
            "former only."
        )
    for count, what in (
        (score.unknown, "labels belong to rows that are not in the log"),
        (score.unusable, "labels are no number, or no class that the model knows"),
    ):
        if count:
            notes.append(f"{count} {what}.")
    return notes


def problems_of(report: MonitorReport, config: MonitorConfig) -> list[str]:
    """What crossed a limit, one sentence each."""
    found = [
        f"{column.name} has drifted: PSI {latest_psi(column):.2f} in the latest window, over {column.limit:g}"
        + ("" if column.since is None else f" since {report.windows[column.since]:%Y-%m-%d %H:%M} UTC")
        + f"; {biggest_change(column)}."
        for column in report.columns
        if column.drifted
    ]
    if report.joint is not None and report.joint.drifted:
        found.append(_joint(report.joint))
    score = report.score
    if (expected := _expected_fall(score, config)) is not None:
        found.append(expected)
    if score.fallen and score.held_out is not None:
        latest = next((part for part in reversed(score.windows) if part.score is not None), score.total)
        assert latest.score is not None
        found.append(
            f"{score.metric} is {latest.score:.4f} on the latest {latest.labelled} labelled rows, and was "
            f"{score.held_out:.4f} on the held-out rows."
        )
    return found


def _joint(joint: JointDrift) -> str:
    by = f", most by {listed(joint.strongest)}" if joint.strongest else ""
    return (
        f"All features together have drifted: a classifier tells the latest rows from held-out ones{by}, with an area "
        f"under the ROC curve of {joint.auc:.2f}, over {joint.limit:g}."
    )


def _expected_fall(score: LiveScore, config: MonitorConfig) -> str | None:
    """Report an estimated fall only where no labels have decided yet."""
    latest = next((part for part in reversed(score.windows) if part.estimate is not None), None)
    if latest is None or latest.score is not None or latest.estimate is None or score.held_out is None:
        return None
    drop = (score.held_out - latest.estimate) * (1 if score.greater_is_better else -1)
    if drop - 2 * (latest.estimate_error or 0.0) <= config.score_drop:
        return None
    return (
        f"{score.metric} is estimated at {latest.estimate:.4f} for the latest {latest.rows} rows, and was "
        f"{score.held_out:.4f} on the held-out rows. {score.assumption} Labels will tell."
    )


def latest_psi(column: ColumnDrift) -> float:
    """The index of the latest window with enough rows; of all rows if none has."""
    return next((value for value in reversed(column.windows) if value is not None), column.psi)


def biggest_change(column: ColumnDrift) -> str:
    """The bin whose share changed most, in words."""
    gaps = [abs(live - reference) for live, reference in zip(column.shares, column.reference, strict=True)]
    place = int(np.argmax(gaps))
    return f"{column.labels[place]} went from {column.reference[place]:.1%} to {column.shares[place]:.1%}"


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Names in one text, shortened."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
