"""Sections on drift: all columns over the windows, then each column that changed most, with both distributions."""

from platform_lib.monitoring.content import MonitorReport
from platform_lib.monitoring.drift import SIGNIFICANCE, ColumnDrift
from platform_lib.monitoring.page.drift_charts import distribution_chart, windows_chart
from platform_lib.monitoring.wording import biggest_change, latest_psi, listed
from platform_lib.report.blocks import Block, Cell, Figure, Figures, Folded, Section, Table, Text
from platform_lib.training.wording import amount

_SHOWN = 6
"""Columns with large charts; at least those that drifted, up to `_MOST`."""
_MOST = 20


def overview_section(report: MonitorReport) -> Section:
    """Every column: how far, since when, and its index per window."""
    rows = [
        (
            column.name,
            Cell(text="drifted", tone="bad") if column.drifted else Cell(text="no", tone="good"),
            f"{latest_psi(column):.3f}",
            f"{column.limit:g}",
            windows_chart(column, report.windows),
            "–" if column.since is None else f"{report.windows[column.since]:%Y-%m-%d %H:%M}",
        )
        for column in report.columns
    ]
    note = (
        "PSI is the population stability index: 0 for no shift, 0.1 for a small and 0.25 for a large one. "
        "The small charts show it per window; the dashed line is the limit."
    )
    headers = ("column", "drift", "latest PSI", "limit", "PSI per window", "over its limit since (UTC)")
    table = Table(caption="Drift of each column", headers=headers, rows=rows, numeric=frozenset({2, 3, 5}), note=note)
    return Section(anchor="drift", title="Drift", blocks=[table, *_tests(report)])


def _tests(report: MonitorReport) -> list[Block]:
    """The tests on rows, folded, because a million rows make any difference significant."""
    rows = []
    for column in report.columns:
        if (test := column.test) is not None:
            clear = test.p_value < SIGNIFICANCE
            rows.append(
                (
                    column.name,
                    test.test,
                    f"{test.effect:.3f}",
                    "–" if test.wasserstein is None else amount(test.wasserstein),
                    "below 0.0001" if test.p_value < 1e-4 else f"{test.p_value:.4f}",
                    "more than chance" if clear else "chance may explain it",
                )
            )
    if not rows:
        return []
    first = next(column.test for column in report.columns if column.test is not None)
    table = Table(
        caption="Live rows against held-out rows",
        headers=("column", "test", "size, 0 to 1", "Wasserstein", "p-value", "difference"),
        rows=rows,
        numeric=frozenset({2, 3, 4}),
        note=f"{first.live_rows:,} live and {first.reference_rows:,} held-out rows. Size is the largest distance of "
        "the distribution functions, or Cramér's V. Wasserstein is how far values moved on average, in the "
        "column's unit. p-values are corrected for the number of columns (Benjamini and Hochberg).",
    )
    return [Folded(summary="Tests on rows: Kolmogorov–Smirnov, Wasserstein, chi-square", blocks=[table])]


def columns_section(report: MonitorReport) -> Section:
    """Both distributions of the columns that drifted or changed most."""
    drifted = [column for column in report.columns if column.drifted]
    others = [column for column in report.columns if not column.drifted]
    shown = [*drifted, *others[: max(0, _SHOWN - len(drifted))]][:_MOST]
    figures = [
        Figure(
            chart=distribution_chart(column),
            heading=f"{column.name}{', drifted' if column.drifted else ''}",
            caption=_how_far(column),
        )
        for column in shown
    ]
    blocks: list[Block] = [Figures(figures=figures)] if figures else []
    if len(shown) < len(report.columns):
        blocks.append(Text(text=f"{len(report.columns) - len(shown)} columns that changed less have no chart."))
    return Section(anchor="columns", title="What changed", blocks=blocks)


def joint_blocks(report: MonitorReport) -> list[Block]:
    """How well a classifier tells live rows from held-out ones."""
    joint = report.joint
    if joint is None:
        return []
    verdict = (
        "They have drifted"
        if joint.drifted
        else "They differ, within the limit"
        if joint.p_value < SIGNIFICANCE
        else "Chance may explain that"
    )
    by = f" It needs {listed(joint.strongest)} most." if joint.strongest else ""
    low, high = joint.auc - 1.96 * joint.error, min(1.0, joint.auc + 1.96 * joint.error)
    return [
        Text(
            text=f"A classifier that has to tell {joint.live_rows:,} of the latest rows from {joint.reference_rows:,} "
            f"held-out ones reaches an area under the ROC curve of {joint.auc:.3f} (95 %: {low:.3f} to {high:.3f}) on "
            f"rows it was not trained on; 0.5 is no difference, the limit is {joint.limit:g}. {verdict}.{by}"
        ),
        Text(text="This notices what no single column shows, such as two features that no longer go together."),
    ]


def _how_far(column: ColumnDrift) -> str:
    """How far a column moved, in one or two sentences."""
    said = f"PSI {latest_psi(column):.2f} in the latest window, limit {column.limit:g}; {biggest_change(column)}."
    if max(column.missing, column.missing_reference) > 0:
        said += f" Missing: {column.missing:.1%}, {column.missing_reference:.1%} in training."
    if column.outside > column.outside_reference:
        kind = "Unknown or rare values" if column.kind in ("boolean", "category") else "Outside the range"
        said += f" {kind}: {column.outside:.1%}, {column.outside_reference:.1%} in training."
    return said
