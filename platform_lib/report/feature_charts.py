"""Charts of features and of the comparison with the champion: intervals, importance, partial dependence, bins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any

from platform_lib.model.profile import Bins
from platform_lib.report.blocks import Figure
from platform_lib.report.svg import WIDTH, Chart, legend_height, shortened, span
from platform_lib.training.diagnostics.tables import Dependence, Importances, SliceSearch
from platform_lib.training.wording import amount

_ROW = 22.0
_MOST = 15
_NAMES = 170.0


def gain_figure(verdict: Mapping[str, Any]) -> Figure | None:
    """The candidate's gain over the champion with its interval, zero and the margin; None without a comparison."""
    interval, own, champion = verdict.get("interval"), verdict.get("compared_score"), verdict.get("champion_score")
    if not interval or own is None or champion is None:
        return None
    low, high = interval
    margin = float(verdict.get("margin") or verdict.get("delta") or 0.0)
    middle = (low + high) / 2
    said = (
        f"Gain in {verdict.get('metric')} over the champion, version {verdict.get('champion_version')}, on the same "
        f"rows: {low:+.4f} to {high:+.4f} (95 %); right of 0 is better. It passes if the whole interval is right of "
        f"the dashed line, {-margin:+.4f}."
    )
    chart = Chart("Gain over the champion", said, x=span([low, high, 0.0, -margin], margin=0.12), y=(0, 1), height=110)
    chart.axes(f"gain in {verdict.get('metric')}", "", y_ticks=False)
    chart.rule(x=0.0, kind="zero").rule(x=-margin)
    chart.interval(low, high, 0.5).points([middle], [0.5], size=5)
    return Figure(chart=chart, heading="Gain over the champion", caption=said)


def importance_figure(found: Importances) -> Figure | None:
    """Permutation importance of the strongest features, with intervals."""
    shown = found.features[:_MOST]
    if not shown:
        return None
    first = shown[0]
    said = (
        f"How much worse {found.metric} gets when a feature's values are shuffled, with 95 % intervals. "
        f"{first.feature} matters most ({amount(first.loss)} of {amount(found.score)}). Features that say the same "
        "share their importance."
    )
    values = [value for each in shown for value in (each.interval.low, each.interval.high, each.loss)]
    chart = _ranked("Permutation importance", said, [each.feature for each in shown], span([0.0, *values]))
    chart.axes(f"loss of {found.metric} when shuffled", "", y_ticks=False).rule(x=0.0, kind="zero")
    for number, each in enumerate(shown):
        at = len(shown) - number - 0.5
        chart.bar((0.0, each.loss), (at - 0.3, at + 0.3))
        chart.interval(each.interval.low, each.interval.high, at, "over")
    return Figure(chart=chart, heading="Importance of the features", caption=said)


def slices_figure(found: SliceSearch) -> Figure | None:
    """The loss of each slice that is worse than the rest, with its interval, beside that of all rows."""
    shown = found.found[:_MOST]
    if not shown:
        return None
    said = (
        f"{found.loss.capitalize()} of these rows with 95 % intervals; the dashed line is all rows, "
        f"{amount(found.overall)}."
    )
    names = [f"{each.column}: {each.value}" for each in shown]
    values = [value for each in shown for value in (each.interval.low, each.interval.high)]
    chart = _ranked("Slices with more errors", said, names, span([found.overall, *values]))
    chart.axes(found.loss, "", y_ticks=False).rule(x=found.overall)
    for number, each in enumerate(shown):
        at = len(shown) - number - 0.5
        chart.interval(each.interval.low, each.interval.high, at, "s2").points([each.loss], [at], "s2", size=4)
    return Figure(chart=chart, heading="Slices with more errors", caption=said)


def _ranked(title: str, description: str, names: Sequence[str], limits: tuple[float, float], *, free: int = 0) -> Chart:
    """A chart with one row per name, the first on top, below `free` empty rows."""
    height = _ROW * (len(names) + free) + 54
    chart = Chart(title, description, x=limits, y=(0, len(names) + free), height=height, left=_NAMES)
    for number, name in enumerate(names):
        chart.text(_NAMES - 8, chart.y(len(names) - number - 0.5) + 4, shortened(name, 24), anchor="end")
    return chart


def dependence_figures(found: Sequence[Dependence]) -> list[Figure]:
    """Partial dependence of each feature, all on one scale, so that a feature that matters little looks flat."""
    shown = [each for each in found if each.means]
    limits = span([value for each in shown for line in each.means for value in line], margin=0.06)
    return [_dependence(each, limits) for each in shown]


def _dependence(found: Dependence, limits: tuple[float, float]) -> Figure:
    several = len(found.classes) > 1
    what = (
        f"probability of {found.classes[0]}" if len(found.classes) == 1 else "probability" if several else "prediction"
    )
    means = [value for line in found.means for value in line]
    said = (
        f"Mean {what} over {found.rows} rows if all had one value of {found.feature}: {amount(min(means))} to "
        f"{amount(max(means))}."
    )
    title = f"Partial dependence on {found.feature}"
    return Figure(
        chart=(_categories if found.kind == "category" else _curve)(found, title, said, what, limits),
        heading=found.feature,
        caption=said,
    )


def _curve(found: Dependence, title: str, said: str, what: str, limits: tuple[float, float]) -> Chart:
    times = [_seconds(value) for value in found.values]
    is_time = found.kind == "time"
    x = times if is_time else [float(value) for value in found.values]
    chart = Chart(title, said, x=span(x, margin=0.02), y=limits)
    chart.axes(found.feature, what, x_ticks=not is_time)
    if is_time:
        for at, anchor in ((0, "start"), (-1, "end")):
            chart.text(chart.x(x[at]), chart.y.start + 15, str(found.values[at])[:10], anchor=anchor)
    for number, line in enumerate(found.means[:5], start=1):
        chart.line(x, line, f"s{number}")
    if len(found.classes) > 1:
        chart.legend([(label, f"s{number}") for number, label in enumerate(found.classes[:5], start=1)])
    return chart


def _categories(found: Dependence, title: str, said: str, what: str, limits: tuple[float, float]) -> Chart:
    names = [str(value) for value in found.values][:_MOST]
    classes = found.classes[:5] if len(found.classes) > 1 else ()
    chart = _ranked(title, said, names, limits, free=ceil(legend_height(len(classes)) / _ROW))
    chart.axes(f"mean {what}", "", y_ticks=False)
    for kind, line in enumerate(found.means[:5], start=1):
        at = [len(names) - number - 0.5 for number in range(len(names))]
        chart.points(line[:_MOST], at, f"s{kind}", size=4)
    if classes:
        chart.legend([(label, f"s{number}") for number, label in enumerate(classes, start=1)], right=True)
    return chart


def _seconds(value: float | str) -> float:
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return float("nan")


def bins_chart(name: str, bins: Bins) -> Chart:
    """A small chart of a column's distribution over the training rows."""
    said = "; ".join(f"{label} {share:.0%}" for label, share in zip(bins.labels, bins.shares, strict=True) if share)
    top = max([*bins.shares, 0.01])
    chart = Chart(f"Distribution of {name}", said, x=(0, len(bins.shares)), y=(0, top), height=60, left=0, bottom=2)
    for number, share in enumerate(bins.shares):
        is_missing = number == len(bins.shares) - 1
        chart.bar((number + 0.08, number + 0.92), (0, share), "s2" if is_missing else "s1")
    chart.root.set("class", "spark")
    chart.root.set("viewBox", f"0 0 {WIDTH:g} 60")
    return chart
