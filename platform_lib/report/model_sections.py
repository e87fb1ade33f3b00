"""Sections on the model and its origin: features, single rows, data, configuration, lineage."""

from collections.abc import Sequence

from platform_lib import lineage
from platform_lib.report.blocks import Block, Cell, Figures, Folded, Section, Table, Text, pairs
from platform_lib.report.content import ReportContent
from platform_lib.report.feature_charts import bins_chart, dependence_figures, importance_figure
from platform_lib.report.svg import Chart
from platform_lib.training.diagnostics.tables import RowRecord
from platform_lib.training.wording import number


def card_section(content: ReportContent) -> Section | None:
    """Who answers for the model, and what it is for."""
    rows = content.card.rows()
    return Section(anchor="card", title="Model card", blocks=[pairs("What people must know", rows)]) if rows else None


def features_section(content: ReportContent) -> Section | None:
    """What the model's predictions depend on."""
    found = content.diagnostics
    if found is None:
        return None
    blocks: list[Block] = []
    importances = found.importances
    if importances is not None and (figure := importance_figure(importances)) is not None:
        blocks.append(Figures(figures=[figure]))
        rows = [
            (each.feature, number(each.loss), f"{number(each.interval.low)} to {number(each.interval.high)}")
            for each in importances.features
        ]
        table = Table(
            caption=f"Loss of {importances.metric} when a feature is shuffled",
            headers=("feature", "loss", "95 % interval"),
            rows=rows,
            numeric=frozenset({1, 2}),
            note=f"On {importances.rows:,} rows, shuffled {importances.repeats} times. The model may not need a "
            "feature whose interval contains 0.",
        )
        blocks.append(Folded(summary="All features as a table", blocks=[table]))
    if found.dependence:
        blocks.append(Text(text="How the mean prediction changes with the strongest features, all else as it is:"))
        blocks.append(Figures(figures=dependence_figures(found.dependence)))
    return Section(anchor="features", title="What it uses", blocks=blocks) if blocks else None


def rows_section(content: ReportContent) -> Section | None:
    """Single rows: the largest errors, and labels that are likely wrong."""
    found = content.diagnostics
    if found is None:
        return None
    blocks: list[Block] = []
    if found.worst_rows:
        blocks.append(_rows("Rows with the largest errors", found.worst_rows))
    labels = found.label_errors
    if labels is not None and labels.likely:
        blocks.append(_rows("Rows whose label is likely wrong", labels.likely))
        blocks.append(
            Text(
                text=f"{labels.count} rows have a label to which the model gives a probability below "
                f"{number(labels.limit)}; {number(labels.by_chance)} would look like this if every label were right."
            )
        )
    if not blocks:
        return None
    hidden = [name for name, column in content.contract.columns.items() if column.is_private]
    if hidden:
        blocks.append(Text(text=f"Values of private columns are not shown: {', '.join(hidden)}."))
    return Section(anchor="rows", title="Rows", blocks=blocks)


def _rows(caption: str, rows: Sequence[RowRecord]) -> Table:
    has_id = any(row.id is not None for row in rows)
    is_class = all(row.error is None for row in rows)
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    measured = "probability of the actual class" if is_class else "error"
    headers = ["row", *(["id"] if has_id else []), "actual", "predicted", measured, *names]
    shown = []
    for row in rows:
        cells = [str(row.table_row), *([row.id or "–"] if has_id else []), number(row.actual), number(row.predicted)]
        cells += [number(row.probability if is_class else row.error), *(row.values.get(name, "–") for name in names)]
        shown.append(cells)
    position = headers.index(measured)
    note = "“Row” is the position in the table, from 0."
    return Table(caption=caption, headers=headers, rows=shown, numeric=frozenset({0, position}), note=note)


def data_section(content: ReportContent) -> Section:
    """The data contract, and how the training rows are distributed."""
    contract, profile = content.contract, content.profile
    rows: list[tuple[str | Cell | Chart, ...]] = []
    for name, column in contract.columns.items():
        role = {contract.target: "target", contract.id: "id", contract.time: "time"}.get(name, "feature")
        bins = None if profile is None or column.is_private else profile.features.get(name)
        limits = "" if column.is_private else _limits(column.min, column.max, column.allowed)
        kept = "private, values are not shown" if column.is_private else limits
        missing = (
            f"{bins.shares[-1]:.1%}" if bins is not None and bins.shares[-1] else "allowed" if column.nullable else "no"
        )
        rows.append((name, role, column.type, missing, kept, "–" if bins is None else bins_chart(name, bins)))
    about = f"Table {contract.name} ({contract.path})"
    trained = "" if profile is None else f" The distributions are of the {profile.rows:,} training rows."
    table = Table(
        caption=f"{about}: {len(contract.columns)} columns",
        headers=("column", "role", "type", "missing", "range or values", "distribution"),
        rows=rows,
        note=f"From the data contract of the version.{trained} The last bar is missing values.",
    )
    return Section(anchor="data", title="Data", blocks=[table])


def _limits(low: float | None, high: float | None, allowed: "Sequence[object] | None") -> str:
    words = []
    if low is not None or high is not None:
        words.append(f"{'?' if low is None else f'{low:g}'} to {'?' if high is None else f'{high:g}'}")
    if allowed:
        shown = ", ".join(map(str, allowed[:8]))
        words.append(shown + (f" and {len(allowed) - 8} more" if len(allowed) > 8 else ""))
    return "; ".join(words)


def origin_section(content: ReportContent) -> Section:
    """Where the version comes from, and how to train it again."""
    blocks: list[Block] = [pairs("Lineage", lineage.rows(content.origin), "what")]
    settings = {name: str(value) for name, value in content.settings.items()}
    if settings:
        blocks.append(Folded(summary="Configuration", blocks=[pairs("Resolved configuration", settings, "setting")]))
    blocks.append(Text(text=f"Train it again and compare: mlp reproduce {content.name}/{content.version}"))
    return Section(anchor="origin", title="Lineage and configuration", blocks=blocks)
