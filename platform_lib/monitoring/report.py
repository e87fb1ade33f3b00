"""The monitoring report of one version: drift, live score, its estimate, latency."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.errors import NotFound
from platform_lib.model.artifact import Predictions
from platform_lib.model.profile import Bins, Profile
from platform_lib.monitoring.binning import bin_indices, window_counts
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.drift import SIGNIFICANCE, ColumnDrift, column_drift, corrected
from platform_lib.monitoring.estimate import estimated_score
from platform_lib.monitoring.live_score import LiveScore, ScoreWindow, live_score
from platform_lib.monitoring.logged import Labels, join_labels, predictions_of
from platform_lib.monitoring.windows import Windows
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder, logged_name

PREDICTION = "prediction"
"""Name of the prediction among the columns; as the server's counters call it."""
FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitored:
    """The version that is reported on."""

    model: str
    version: str
    profile: Profile
    contract: DataContract
    metric: str
    """Metric of the live score."""
    held_out: tuple[float, float] | None
    """Its score on the held-out rows at training, and the standard error; None if unknown."""


class VersionTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """What one version answered in the period."""

    version: str
    requests: int
    rows: int
    p50_ms: float
    p99_ms: float


class MonitorReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a version's period. JSON-able by msgspec."""

    format: int = FORMAT
    model: str
    version: str
    since: datetime
    until: datetime
    windows: list[datetime]
    """Start of each window, UTC, oldest first."""
    rows: list[int]
    """Logged rows of the version per window."""
    traffic: list[VersionTraffic]
    columns: list[ColumnDrift]
    """The prediction first, then the features, the largest index first."""
    score: LiveScore
    problems: list[str]
    """What crossed a limit, one sentence each; empty if nothing did."""
    notes: list[str]
    """What the report cannot say, and why."""


def build_report(folder: LogFolder, monitored: Monitored, config: MonitorConfig, windows: Windows) -> MonitorReport:
    """Read the request log and compare it with what the version was trained on.

    Args:
        folder: The request log.
        monitored: The version.
        config: Limits.
        windows: The period.
    Raises:
        NotFound: The version has no logged rows in the period.
        ServiceError: The log cannot be read.
    """
    since = windows.starts[0]
    table = folder.read(PREDICTIONS, since=since)
    in_period = pc.less(table["time"], pa.scalar(windows.end, table["time"].type))
    table = _kept(table, pc.and_(in_period, pc.equal(table["model"], monitored.model)))
    logged = table.select(["request_id", "row", "version", "latency_ms"])
    rows = _kept(table, pc.equal(table["version"], monitored.version))
    del table  # a large log fills the memory once
    if not len(rows):
        raise NotFound(
            f"the request log in {folder.path} has no rows of {monitored.model} version {monitored.version} since "
            f"{since:%Y-%m-%d %H:%M} UTC; {_who_has_rows(logged)}"
        )
    window = windows.of(rows["time"].to_numpy().astype("datetime64[us]"))
    columns, indices = _drift(rows, monitored, config, window, len(windows))
    predictions = predictions_of(rows)
    labels = join_labels(folder, rows, since=since, known=logged)
    score = _score(monitored, predictions, labels, window, len(windows), config)
    score = msgspec.structs.replace(score, unlike=_unlike(monitored, indices, labels, len(rows), config))
    report = MonitorReport(
        model=monitored.model,
        version=monitored.version,
        since=since,
        until=windows.end,
        windows=list(windows.starts),
        rows=np.bincount(window[window >= 0], minlength=len(windows)).tolist(),
        traffic=_traffic(logged),
        columns=columns,
        score=score,
        problems=[],
        notes=_notes(monitored, rows, score, config),
    )
    return msgspec.structs.replace(report, problems=_problems(report, config))


def _kept(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    """The rows where the mask is true; without a copy if that is all of them."""
    return table if pc.all(mask).as_py() else table.filter(mask)


def _who_has_rows(logged: pa.Table) -> str:
    versions = sorted(pc.unique(logged["version"]).to_pylist(), key=int) if len(logged) else []
    if not versions:
        return "no version has. Look further back with --since."
    return f"versions that have: {', '.join(versions)}. Choose one, or look further back with --since."


def _columns(monitored: Monitored) -> list[tuple[str, str, Bins]]:
    """Name, name in the log and bins of what is compared."""
    features = [(name, logged_name(name), bins) for name, bins in monitored.profile.features.items()]
    return [(PREDICTION, PREDICTION, monitored.profile.prediction), *features]


def _drift(
    rows: pa.Table, monitored: Monitored, config: MonitorConfig, window: NDArray[np.intp], windows: int
) -> tuple[list[ColumnDrift], dict[str, tuple[Bins, NDArray[np.intp]]]]:
    found, indices = [], {}
    for name, logged, bins in _columns(monitored):
        if logged not in rows.column_names:
            continue
        places = bin_indices(bins, rows[logged])
        indices[name] = (bins, places)
        counts = window_counts(bins, places, window, windows)
        found.append(column_drift(name, bins, counts, monitored.profile.rows, config))
    p_values = corrected([column.p_value for column in found])
    found = [msgspec.structs.replace(column, p_value=p) for column, p in zip(found, p_values, strict=True)]
    # A small sample has a large index by chance alone: what chance explains is no drift.
    found = [
        msgspec.structs.replace(column, drifted=column.drifted and column.p_value < SIGNIFICANCE) for column in found
    ]
    return [found[0], *sorted(found[1:], key=lambda column: -column.psi)], indices


def _score(
    monitored: Monitored,
    predictions: Predictions,
    labels: Labels,
    window: NDArray[np.intp],
    windows: int,
    config: MonitorConfig,
) -> LiveScore:
    score = live_score(
        monitored.metric, predictions, labels, window, windows, held_out=monitored.held_out, config=config
    )
    parts = [
        _with_estimate(part, monitored.metric, predictions, np.flatnonzero(window == i), config)
        for i, part in enumerate(score.windows)
    ]
    total = _with_estimate(score.total, monitored.metric, predictions, np.arange(len(window)), config)
    return msgspec.structs.replace(score, windows=parts, total=total)


def _with_estimate(
    part: ScoreWindow, metric: str, predictions: Predictions, rows: NDArray[np.intp], config: MonitorConfig
) -> ScoreWindow:
    found = estimated_score(metric, predictions, rows) if len(rows) >= config.min_labels else None
    if found is None:
        return part
    return msgspec.structs.replace(part, estimate=found[0], estimate_error=found[1])


def _unlike(
    monitored: Monitored,
    indices: dict[str, tuple[Bins, NDArray[np.intp]]],
    labels: Labels,
    rows: int,
    config: MonitorConfig,
) -> list[str]:
    """Columns in which the labelled rows differ from the others."""
    has_label = np.zeros(rows, dtype=bool)
    has_label[labels.rows] = True
    if min(has_label.sum(), (~has_label).sum()) < config.min_labels:
        return []
    found = []
    for name, (bins, places) in indices.items():
        width = len(bins.shares)
        others = np.bincount(places[~has_label], minlength=width)
        own = np.bincount(places[has_label], minlength=width)
        as_reference = msgspec.structs.replace(bins, shares=(others / others.sum()).tolist())
        found.append(column_drift(name, as_reference, own[None, :], int(others.sum()), config))
    p_values = corrected([column.p_value for column in found])
    return [
        column.name for column, p in zip(found, p_values, strict=True) if p < SIGNIFICANCE and column.psi > column.limit
    ]


def _traffic(logged: pa.Table) -> list[VersionTraffic]:
    requests = logged.group_by(["version", "request_id"]).aggregate([("latency_ms", "max"), ("row", "count")])
    found = []
    for version in sorted(pc.unique(requests["version"]).to_pylist(), key=int):
        own = requests.filter(pc.equal(requests["version"], version))
        p50, p99 = np.quantile(own["latency_ms_max"].to_numpy(), [0.5, 0.99])
        rows = int(pc.sum(own["row_count"]).as_py())
        found.append(
            VersionTraffic(version=version, requests=len(own), rows=rows, p50_ms=float(p50), p99_ms=float(p99))
        )
    return found


def _notes(monitored: Monitored, rows: pa.Table, score: LiveScore, config: MonitorConfig) -> list[str]:
    notes = []
    private = [name for name in monitored.contract.features if monitored.contract.columns[name].is_private]
    if private:
        notes.append(f"Not logged, because the contract says so: {', '.join(private)}.")
    if len(rows) < config.min_rows:
        notes.append(f"{len(rows)} rows are too few to judge drift; conf/monitor.yaml asks for {config.min_rows}.")
    if score.total.labelled < config.min_labels:
        notes.append(
            f"{score.total.labelled} rows have a label, too few for a live score; send labels with POST /labels or "
            f"`mlp log labels`."
        )
    if score.unlike:
        notes.append(
            f"Rows with a label differ from those without in {_listed(score.unlike)}: the live score speaks for the "
            "former only."
        )
    for count, what in (
        (score.unknown, "labels belong to rows that are not in the log"),
        (score.unusable, "labels are no number, or no class that the model knows"),
    ):
        if count:
            notes.append(f"{count} {what}.")
    return notes


def _problems(report: MonitorReport, config: MonitorConfig) -> list[str]:
    found = [
        f"{column.name} has drifted: PSI {column.psi:.2f}, over {column.limit:g}"
        + ("" if column.since is None else f" since {report.windows[column.since]:%Y-%m-%d %H:%M} UTC")
        + f"; {biggest_change(column)}."
        for column in report.columns
        if column.drifted
    ]
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
        f"{score.held_out:.4f} on the held-out rows. It is an estimate from the model's own probabilities; labels will "
        "tell."
    )


def biggest_change(column: ColumnDrift) -> str:
    """The bin whose share changed most, in words."""
    gaps = [abs(live - reference) for live, reference in zip(column.shares, column.reference, strict=True)]
    place = int(np.argmax(gaps))
    return f"{column.labels[place]} went from {column.reference[place]:.1%} to {column.shares[place]:.1%}"


def _listed(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
