"""Charts of a classifier: ROC, precision-recall, calibration, distributions of scores, thresholds."""

from collections.abc import Sequence

from platform_lib.report.blocks import Figure
from platform_lib.report.svg import SERIES, Chart, span
from platform_lib.training.diagnostics.tables import ClassCurves, Thresholds
from platform_lib.training.wording import amount

_UNIT = (0.0, 1.0)


def curve_figures(curves: Sequence[ClassCurves]) -> list[Figure]:
    """Charts of all classes together: the first five, which are the positive one or the most frequent ones."""
    shown = curves[:SERIES]
    if not shown:
        return []
    return [_roc(shown), _precision_recall(shown), _calibration(shown), *(_scores(curve) for curve in shown[:1])]


def _kinds(shown: Sequence[ClassCurves]) -> list[tuple[ClassCurves, str]]:
    return [(curve, f"s{number}") for number, curve in enumerate(shown, start=1)]


def _areas(shown: Sequence[ClassCurves], what: str) -> str:
    areas = [curve.roc.area if what == "roc" else curve.precision_recall.area for curve in shown]
    return ", ".join(f"{curve.label} {amount(area)}" for curve, area in zip(shown, areas, strict=True))


def _roc(shown: Sequence[ClassCurves]) -> Figure:
    said = f"Area under the curve: {_areas(shown, 'roc')}; 0.5 is chance."
    chart = Chart("ROC curve", said).axes("false positive rate", "true positive rate")
    chart.line(_UNIT, _UNIT, "mark")
    for curve, kind in reversed(_kinds(shown)):
        chart.line(curve.roc.x, curve.roc.y, kind)
    chart.legend(
        [(f"{curve.label} {amount(curve.roc.area)}", kind) for curve, kind in _kinds(shown)], right=True, top=False
    )
    return Figure(chart=chart, heading="ROC", caption=said)


def _precision_recall(shown: Sequence[ClassCurves]) -> Figure:
    said = f"Average precision: {_areas(shown, 'pr')}. Chance would have the share of the class: " + (
        ", ".join(f"{curve.label} {amount(curve.base_rate)}" for curve in shown) + "."
    )
    chart = Chart("Precision-recall curve", said).axes("recall", "precision")
    for curve, kind in reversed(_kinds(shown)):
        chart.line(_UNIT, (curve.base_rate, curve.base_rate), f"{kind} chance")
        chart.line(curve.precision_recall.x, curve.precision_recall.y, kind)
    names = [(f"{curve.label} {amount(curve.precision_recall.area)}", kind) for curve, kind in _kinds(shown)]
    chart.legend(names, top=False)
    return Figure(chart=chart, heading="Precision and recall", caption=said)


def _calibration(shown: Sequence[ClassCurves]) -> Figure:
    errors = ", ".join(
        f"{curve.label} {amount(curve.calibration.error)} (below {amount(curve.calibration.error_by_chance)} is chance)"
        for curve in shown
    )
    said = f"Expected calibration error: {errors}. On the diagonal, probabilities are frequencies."
    chart = Chart("Calibration", said).axes("mean predicted probability", "observed share")
    chart.line(_UNIT, _UNIT, "mark")
    for curve, kind in reversed(_kinds(shown)):
        bins = curve.calibration.bins
        x = [each.predicted for each in bins]
        if len(shown) == 1:
            chart.band(x, [each.interval.low for each in bins], [each.interval.high for each in bins], kind)
        chart.line(x, [each.observed for each in bins], kind)
        chart.points(x, [each.observed for each in bins], kind)
    chart.legend([(curve.label, kind) for curve, kind in _kinds(shown)])
    return Figure(chart=chart, heading="Calibration", caption=said)


def _scores(curve: ClassCurves) -> Figure:
    scores = curve.scores
    of_class, of_others = _shares(scores.of_class), _shares(scores.of_others)
    said = (
        f"Probability of {curve.label} given to rows of the class ({curve.rows}) and to all others: the less they "
        "overlap, the better the classes can be told apart."
    )
    top = max([*of_class, *of_others, 0.01]) * 1.08
    chart = Chart(
        f"Distribution of the probability of {curve.label}", said, x=(scores.edges[0], scores.edges[-1]), y=(0, top)
    )
    chart.axes(f"probability of {curve.label}", "share of rows")
    for number, (mine, other) in enumerate(zip(of_class, of_others, strict=True)):
        low, high = scores.edges[number], scores.edges[number + 1]
        third = (high - low) / 2
        chart.bar((low, low + third), (0, mine), "s1")
        chart.bar((low + third, high), (0, other), "s2")
    chart.legend([(curve.label, "s1"), ("others", "s2")], right=True)
    return Figure(chart=chart, heading="Scores by class", caption=said)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [value / total if total else 0.0 for value in counts]


def threshold_figure(table: Thresholds) -> Figure:
    """Precision, recall and F1 by threshold."""
    current = "" if table.current is None else f" The model's own threshold is {amount(table.current)}."
    said = f"F1 of {table.positive} is highest at a threshold of {amount(table.best_f1)}.{current}"
    chart = Chart("Precision, recall and F1 by threshold", said, x=span(table.thresholds, margin=0.0))
    chart.axes(f"threshold on the probability of {table.positive}", "")
    for values, kind in ((table.precision, "s1"), (table.recall, "s2"), (table.f1, "s3")):
        chart.line(table.thresholds, values, kind)
    if table.current is not None:
        chart.rule(x=table.current)
    chart.legend([("precision", "s1"), ("recall", "s2"), ("F1", "s3")], top=False)
    return Figure(chart=chart, heading="Thresholds", caption=said)
