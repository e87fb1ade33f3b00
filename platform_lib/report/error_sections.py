"""Sections on the errors: confused classes, curves, residuals, and slices with more errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from platform_lib.report.blocks import Block, Cell, Figures, Folded, Section, Table, Text
from platform_lib.report.class_charts import curve_figures, threshold_figure
from platform_lib.report.content import ReportContent
from platform_lib.report.feature_charts import slices_figure
from platform_lib.report.number_charts import number_figures
from platform_lib.training.diagnostics.tables import ClassTables, Slice, Thresholds
from platform_lib.training.wording import amount, number


def errors_section(content: ReportContent) -> Section:
    """Which classes are confused, how sure the model is, and in which slices it errs more."""
    found, evaluation = content.diagnostics, content.evaluation
    blocks: list[Block] = []
    if found is None or found.classes is None:
        confusion = evaluation.get("confusion")
        if confusion:
            blocks.append(_confusion(confusion["labels"], confusion["counts"]))
    else:
        blocks += _class_blocks(found.classes)
    if found is not None and found.numbers is not None:
        blocks.append(Figures(figures=number_figures(found.numbers)))
        blocks.append(_quantiles(found.numbers.error_quantiles))
    elif evaluation.get("residuals"):
        blocks.append(_residual_quantiles(evaluation["residuals"]))
    return Section(anchor="errors", title="Errors", blocks=blocks)


def _class_blocks(classes: ClassTables) -> list[Block]:
    blocks: list[Block] = [_confusion(classes.labels, classes.confusion)]
    figures = curve_figures(classes.curves)
    if classes.thresholds is not None:
        figures.append(threshold_figure(classes.thresholds))
    if figures:
        blocks.append(Figures(figures=figures))
    if len(classes.curves) > 1:
        blocks.append(_curves(classes))
    if classes.thresholds is not None and classes.thresholds.costs:
        blocks.append(_costs(classes.thresholds))
    return blocks


def _confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    rows: list[tuple[str | Cell, ...]] = []
    for label, line in zip(labels, counts, strict=True):
        total = sum(line)
        shades = [Cell(text=f"{value:,}", shade=value / total if total else 0.0) for value in line]
        own = line[list(labels).index(label)]
        rows.append((str(label), *shades, f"{own / total:.0%}" if total else "–"))
    return Table(
        caption="Confusion matrix: rows are actual classes, columns predicted ones",
        headers=("actual", *map(str, labels), "found"),
        rows=rows,
        numeric=frozenset(range(1, len(labels) + 2)),
        note="The shade is the share of the row. “Found” is the recall of the class.",
    )


def _curves(classes: ClassTables) -> Table:
    return Table(
        caption="Each class against all others",
        headers=("class", "rows", "share", "ROC AUC", "average precision", "calibration error"),
        rows=[
            (
                curve.label,
                f"{curve.rows:,}",
                f"{curve.base_rate:.1%}",
                amount(curve.roc.area),
                amount(curve.precision_recall.area),
                amount(curve.calibration.error),
            )
            for curve in classes.curves
        ],
        numeric=frozenset(range(1, 6)),
    )


def _costs(thresholds: Thresholds) -> Table:
    return Table(
        caption=f"Cheapest threshold, if missing a {thresholds.positive} costs so many false alarms",
        headers=(
            "cost of a miss",
            "threshold",
            "precision",
            "recall",
            f"predicted {thresholds.positive}",
            "cost per row",
        ),
        rows=[
            (
                f"{choice.miss_cost:g}",
                *(amount(value) for value in (choice.threshold, choice.precision, choice.recall)),
                f"{choice.predicted:.1%}",
                amount(choice.cost),
            )
            for choice in thresholds.costs
        ],
        numeric=frozenset(range(6)),
        note="Chosen on the rows that they are measured on, so a little optimistic. Set one with model.threshold.",
    )


def _quantiles(values: Mapping[str, float]) -> Table:
    return Table(
        caption="Absolute errors",
        headers=("share of rows", "error at most"),
        rows=[(f"{float(share):.0%}", number(value)) for share, value in values.items()],
        numeric=frozenset({1}),
    )


def _residual_quantiles(residuals: Mapping[str, Any]) -> Table:
    values = {"mean": residuals["mean"], "standard deviation": residuals["standard_deviation"]}
    values |= {f"{float(share):.0%} are below": value for share, value in residuals["quantiles"].items()}
    return Table(
        caption="Residuals, predicted − actual",
        headers=("", "residual"),
        rows=[(name, number(value)) for name, value in values.items()],
        numeric=frozenset({1}),
    )


def slices_section(content: ReportContent) -> Section | None:
    """Where the model errs more: slices that were found, and those that are configured."""
    blocks: list[Block] = []
    search = None if content.diagnostics is None else content.diagnostics.slices
    if search is not None:
        loss = search.loss
        looked = f"{search.looked_at} slices of at least {search.smallest} rows were looked at"
        if search.found:
            figure = slices_figure(search)
            blocks += [] if figure is None else [Figures(figures=[figure])]
            blocks.append(_slices(f"Slices with more errors: {loss}", search.found))
            blocks.append(
                Text(text=f"{looked}; p-values are corrected for that number, so about 5 % of those listed are chance.")
            )
        else:
            blocks.append(Text(text=f"No slice is clearly worse than the rest: {looked}, corrected for their number."))
        if search.configured:
            blocks.append(_slices(f"Configured slices: {loss}", search.configured))
    if evaluated := content.evaluation.get("slices"):
        metrics = list(dict.fromkeys(name for item in evaluated for name in item["metrics"]))
        rows = [
            (
                f"{item['column']}: {item['value']}{'*' if item.get('small') else ''}",
                f"{item['rows']:,}",
                *(number(item["metrics"].get(name)) for name in metrics),
            )
            for item in evaluated
        ]
        table = Table(
            caption="Metrics of the configured slices",
            headers=("slice", "rows", *metrics),
            rows=rows,
            numeric=frozenset(range(1, len(metrics) + 2)),
            note="* fewer than 30 rows, mostly noise." if any(item.get("small") for item in evaluated) else "",
        )
        blocks.append(Folded(summary="All metrics of the configured slices", blocks=[table]))
    return Section(anchor="slices", title="Slices", blocks=blocks) if blocks else None


def _slices(caption: str, slices: Sequence[Slice]) -> Table:
    return Table(
        caption=caption,
        headers=("slice", "rows", "loss", "95 % interval", "elsewhere", "expected", "corrected p"),
        rows=[
            (
                f"{each.column}: {each.value}",
                f"{each.rows:,}",
                amount(each.loss),
                f"{amount(each.interval.low)} to {amount(each.interval.high)}",
                amount(each.loss_elsewhere),
                number(each.expected_loss),
                f"{each.adjusted_p_value:.2g}",
            )
            for each in slices
        ],
        numeric=frozenset(range(1, 7)),
        note="“Expected” is the loss that the model's own probabilities announce: if lower, the model is too sure.",
    )
