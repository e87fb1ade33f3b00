"""The monitoring report of one version: drift, live score, its estimate, latency."""

from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_lib.errors import NotFound
from platform_lib.model.artifact import Predictions
from platform_lib.monitoring.binning import matrix_of
from platform_lib.monitoring.columns import column_drifts, drawn, features_in, joint_of, unlike_columns
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.content import PREDICTION, Monitored, MonitorReport, VersionTraffic
from platform_lib.monitoring.estimate import RIGHT_PROBABILITIES, estimated_score
from platform_lib.monitoring.held_out.number_estimate import MOST_ROWS, SIMILAR_ERRORS, learn_errors
from platform_lib.monitoring.live_score import Estimate, Estimates, live_score, with_estimates
from platform_lib.monitoring.logged import join_labels, predictions_of
from platform_lib.monitoring.windows import Windows
from platform_lib.monitoring.wording import notes_on, problems_of
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder


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
    columns, indices = column_drifts(rows, monitored, config, window, len(windows))
    joint = joint_of(rows, monitored, config, window, len(windows))
    predictions = predictions_of(rows)
    estimates = _estimates(rows, monitored, predictions, window, len(windows), config)
    rows = rows.select(["request_id", "row", "time"])  # the features have been looked at, and are most of the memory
    labels = join_labels(folder, rows, since=since, known=logged)
    score = live_score(
        monitored.metric, predictions, labels, window, len(windows), held_out=monitored.held_out, config=config
    )
    score = msgspec.structs.replace(
        with_estimates(score, estimates), unlike=unlike_columns(indices, labels, len(rows), config)
    )
    report = MonitorReport(
        model=monitored.model,
        version=monitored.version,
        since=since,
        until=windows.end,
        windows=list(windows.starts),
        rows=np.bincount(window[window >= 0], minlength=len(windows)).tolist(),
        traffic=_traffic(logged),
        columns=columns,
        joint=joint,
        score=score,
        problems=[],
        notes=notes_on(monitored, len(rows), score, config),
    )
    return msgspec.structs.replace(report, problems=problems_of(report, config))


def _kept(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    """The rows where the mask is true; without a copy if that is all of them."""
    return table if pc.all(mask).as_py() else table.filter(mask)


def _who_has_rows(logged: pa.Table) -> str:
    versions = sorted(pc.unique(logged["version"]).to_pylist(), key=int) if len(logged) else []
    if not versions:
        return "no version has. Look further back with --since."
    return f"versions that have: {', '.join(versions)}. Choose one, or look further back with --since."


def _estimates(
    rows: pa.Table,
    monitored: Monitored,
    predictions: Predictions,
    window: NDArray[np.intp],
    windows: int,
    config: MonitorConfig,
) -> Estimates:
    """Estimate the score of every window, and of all rows."""
    estimate, assumption = _estimator(rows, monitored, predictions)

    def of(chosen: NDArray[np.intp]) -> Estimate | None:
        return estimate(chosen) if len(chosen) >= config.min_labels else None

    parts = [of(np.flatnonzero(window == i)) for i in range(windows)]
    return Estimates(assumption=assumption, total=of(np.arange(len(window))), windows=parts)


def _estimator(
    rows: pa.Table, monitored: Monitored, predictions: Predictions
) -> tuple[Callable[[NDArray[np.intp]], Estimate | None], str]:
    """How a score is estimated for some rows, given by position, and what that assumes."""
    metric, reference = monitored.metric, monitored.reference
    if predictions.probabilities is not None:
        return lambda chosen: estimated_score(metric, predictions, chosen), RIGHT_PROBABILITIES
    if reference is not None and reference.truth is not None:
        columns = features_in(rows, monitored)
        answers = reference.table[PREDICTION].to_numpy(zero_copy_only=False)
        errors = learn_errors(matrix_of(columns, reference.table), answers, reference.truth)
        if errors is not None:

            def estimate(chosen: NDArray[np.intp]) -> Estimate | None:
                some = drawn(chosen, MOST_ROWS)
                return errors.estimated_score(metric, matrix_of(columns, rows.take(some)), predictions.values[some])

            return estimate, SIMILAR_ERRORS
    return lambda chosen: None, ""


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
