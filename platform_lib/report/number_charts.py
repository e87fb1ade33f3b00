"""Charts of a regression: predicted against actual, and residuals."""

from platform_lib.report.blocks import Figure
from platform_lib.report.svg import ROWS, Chart, span
from platform_lib.training.diagnostics.tables import NumberTables, ResidualBin, Scatter
from platform_lib.training.wording import amount


def number_figures(tables: NumberTables) -> list[Figure]:
    """Charts of a regression's errors."""
    found = [] if tables.scatter is None else [_scatter(tables.scatter)]
    found.append(_residuals(tables))
    if tables.by_prediction:
        found.append(_by_prediction(tables.by_prediction))
    return found


def _scatter(scatter: Scatter) -> Figure:
    some = f"{len(scatter.predicted)} of {scatter.rows} rows" if len(scatter.predicted) < scatter.rows else "all rows"
    said = f"Actual against predicted values of {some}; a perfect prediction is on the diagonal."
    both = span([*scatter.predicted, *scatter.actual])
    chart = Chart("Actual against predicted", said, x=both, y=both).axes("predicted", "actual")
    chart.line(both, both, "mark")
    chart.points(scatter.predicted, scatter.actual, "s1 faint", size=2.2)
    return Figure(chart=chart, heading="Actual against predicted", caption=said)


def _residuals(tables: NumberTables) -> Figure:
    found = tables.residuals
    low, high = tables.bias_interval.low, tables.bias_interval.high
    outside = f" {found.below + found.above} rows are outside of the chart." if found.below + found.above else ""
    said = (
        f"Predicted − actual; the mean is {amount(tables.bias)} (95 %: {amount(low)} to {amount(high)}), where 0 is no "
        f"bias.{outside}"
    )
    chart = Chart("Residuals", said, x=span(found.edges, margin=0.0), y=(0, max([*found.counts, 1]) * 1.08))
    chart.axes("predicted − actual", ROWS)
    for number, rows in enumerate(found.counts):
        chart.bar((found.edges[number], found.edges[number + 1]), (0, rows), "s1")
    chart.rule(x=0.0)
    return Figure(chart=chart, heading="Residuals", caption=said)


def _by_prediction(bins: list[ResidualBin]) -> Figure:
    said = (
        "Mean residual by size of the prediction, with its 95 % interval (narrow) and the middle 80 % of the residuals "
        "(wide): a mean off 0 is a bias, a band that widens is an error that grows."
    )
    x = [each.predicted for each in bins]
    chart = Chart(
        "Residuals by prediction",
        said,
        x=span(x),
        y=span([0.0, *(each.low for each in bins), *(each.high for each in bins)]),
    ).axes("predicted", "predicted − actual")
    chart.band(x, [each.low for each in bins], [each.high for each in bins], "s1 wide")
    chart.band(x, [each.interval.low for each in bins], [each.interval.high for each in bins], "s1")
    chart.rule(y=0.0)
    chart.line(x, [each.mean for each in bins], "s1").points(x, [each.mean for each in bins], "s1")
    return Figure(chart=chart, heading="Residuals by prediction", caption=said)
