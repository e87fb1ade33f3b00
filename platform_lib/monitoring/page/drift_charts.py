"""Charts of drift: a column's index over the windows, and its live distribution beside the reference's."""

from collections.abc import Sequence
from datetime import datetime

from platform_lib.monitoring.drift import ColumnDrift
from platform_lib.report.svg import WIDTH, Chart, shortened

_ROW = 26.0
_NAMES = 150.0
_MOST_BINS = 14
_LEGEND_ROWS = 1.3


def windows_chart(column: ColumnDrift, windows: Sequence[datetime]) -> Chart:
    """A small chart of the index per window, oldest first, with the limit as a line."""
    known = [value for value in column.windows if value is not None]
    top = max([*known, column.limit]) * 1.1
    said = "; ".join(
        f"{start:%Y-%m-%d %H:%M} {'too few rows' if value is None else format(value, '.2f')}"
        for start, value in zip(windows, column.windows, strict=True)
    )
    chart = Chart(
        f"PSI of {column.name} per window", said, x=(0, len(windows)), y=(0, top), height=60, left=0, bottom=2
    )
    for place, value in enumerate(column.windows):
        if value is not None:
            chart.bar((place + 0.1, place + 0.9), (0, value), "s2" if value > column.limit else "s1")
    chart.rule(y=column.limit)
    chart.root.set("class", "spark")
    chart.root.set("viewBox", f"0 0 {WIDTH:g} 60")
    return chart


def distribution_chart(column: ColumnDrift) -> Chart:
    """Both distributions over the same bins: live above, reference below, one row per bin."""
    places = _shown_bins(column)
    top = max([*(column.shares[i] for i in places), *(column.reference[i] for i in places), 0.01])
    said = "; ".join(
        f"{column.labels[i]}: {column.reference[i]:.1%} before, {column.shares[i]:.1%} live" for i in places
    )
    chart = Chart(
        f"Distribution of {column.name}",
        said,
        x=(0, top * 1.05),
        y=(0, len(places) + _LEGEND_ROWS),
        height=_ROW * (len(places) + _LEGEND_ROWS) + 54,
        left=_NAMES,
    )
    chart.axes("share of rows", "", y_ticks=False)
    for number, place in enumerate(places):
        at = len(places) - number - 0.5
        chart.text(_NAMES - 8, chart.y(at) + 4, shortened(column.labels[place], 22), anchor="end")
        chart.bar((0, column.shares[place]), (at, at + 0.36), "s2")
        chart.bar((0, column.reference[place]), (at - 0.36, at), "s1")
    return chart.legend([("live rows", "s2"), ("training rows", "s1")], right=True)


def _shown_bins(column: ColumnDrift) -> list[int]:
    """Bins with rows on either side, in order; of many, those that changed most."""
    filled = [i for i in range(len(column.labels)) if column.shares[i] or column.reference[i]]
    most = sorted(filled, key=lambda i: -abs(column.shares[i] - column.reference[i]))[:_MOST_BINS]
    return sorted(most)
