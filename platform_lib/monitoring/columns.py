"""Drift of every column of a version, and of all features together."""

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_lib.model.profile import Bins
from platform_lib.monitoring.binning import bin_indices, matrix_of, window_counts
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.content import PREDICTION, Monitored
from platform_lib.monitoring.drift import SIGNIFICANCE, ColumnDrift, column_drift, corrected
from platform_lib.monitoring.held_out.joint import MOST_ROWS as MOST_JOINT
from platform_lib.monitoring.held_out.joint import JointDrift, joint_drift
from platform_lib.monitoring.held_out.row_tests import row_test, with_corrected_p_values
from platform_lib.monitoring.logged import Labels
from platform_lib.serving.request_log.files import logged_name


def _columns(monitored: Monitored) -> list[tuple[str, str, Bins]]:
    """Name, name in the log and bins of what is compared."""
    features = [(name, logged_name(name), bins) for name, bins in monitored.profile.features.items()]
    return [(PREDICTION, PREDICTION, monitored.profile.prediction), *features]


MOST_TESTED = 20_000
"""Live rows, drawn from all, that are tested one by one."""


def column_drifts(
    rows: pa.Table, monitored: Monitored, config: MonitorConfig, window: NDArray[np.intp], windows: int
) -> tuple[list[ColumnDrift], dict[str, tuple[Bins, NDArray[np.unsignedinteger]]]]:
    """Compare every logged column with the reference.

    Args:
        rows: n logged rows of the version.
        monitored: The version.
        config: Limits.
        window: The window of each row, shape (n,).
        windows: Number of windows.
    Returns:
        The prediction's drift, then that of the features, the largest index first; and per column its bins and the bin
        of each row, shape (n,).
    """
    found, indices, tests = [], {}, []
    reference = None if monitored.reference is None else monitored.reference.table
    tested = rows.take(drawn(np.arange(len(rows)), MOST_TESTED)) if reference is not None else None
    for name, logged, bins in _columns(monitored):
        if logged not in rows.column_names:
            continue
        places = bin_indices(bins, rows[logged])
        indices[name] = (bins, places.astype(np.min_scalar_type(len(bins.shares))))
        counts = window_counts(bins, places, window, windows)
        found.append(column_drift(name, bins, counts, monitored.profile.rows, config))
        if reference is not None and tested is not None and logged in reference.column_names:
            tests.append(row_test(bins, reference[logged], tested[logged]))
        else:
            tests.append(None)
    found = [
        msgspec.structs.replace(column, test=test)
        for column, test in zip(found, with_corrected_p_values(tests), strict=True)
    ]
    p_values = corrected([column.p_value for column in found])
    found = [msgspec.structs.replace(column, p_value=p) for column, p in zip(found, p_values, strict=True)]
    # A small sample has a large index by chance alone: what chance explains is no drift.
    found = [
        msgspec.structs.replace(column, drifted=column.drifted and column.p_value < SIGNIFICANCE) for column in found
    ]
    return [found[0], *sorted(found[1:], key=lambda column: -column.psi)], indices


def features_in(table: pa.Table, monitored: Monitored) -> dict[str, Bins]:
    """Name in the log, and bins, of the features that both a table and the version's held-out rows have."""
    if monitored.reference is None:
        return {}
    known = {*table.column_names} & {*monitored.reference.table.column_names}
    return {logged: bins for name, logged, bins in _columns(monitored) if name != PREDICTION and logged in known}


def joint_of(
    rows: pa.Table, monitored: Monitored, config: MonitorConfig, window: NDArray[np.intp], windows: int
) -> JointDrift | None:
    """Test all features together in the latest windows; None without held-out rows.

    Args:
        rows: n logged rows of the version.
        monitored: The version.
        config: How many windows, and the limit.
        window: The window of each row, shape (n,).
        windows: Number of windows.
    """
    # Times only ever grow, so they would tell live rows from any earlier ones.
    columns = {name: bins for name, bins in features_in(rows, monitored).items() if bins.kind != "time"}
    if monitored.reference is None or not columns:
        return None
    latest = rows.take(drawn(np.flatnonzero(window >= windows - config.windows), MOST_JOINT))
    return joint_drift(
        [name for name, logged, _ in _columns(monitored) if logged in columns],
        matrix_of(columns, monitored.reference.table),
        matrix_of(columns, latest),
        limit=config.joint_auc,
        significance=SIGNIFICANCE,
    )


def drawn(rows: NDArray[np.intp], most: int, *, seed: int = 0) -> NDArray[np.intp]:
    """At most so many of the positions, ascending."""
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))


def unlike_columns(
    indices: dict[str, tuple[Bins, NDArray[np.unsignedinteger]]],
    labels: Labels,
    rows: int,
    config: MonitorConfig,
) -> list[str]:
    """Columns in which the labelled rows differ from the others.

    Args:
        indices: From `column_drifts`.
        labels: Of some of the n rows.
        rows: n.
        config: Limits.
    """
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
