"""Sections on the score over time, and on the traffic of each version."""

from platform_lib.monitoring.content import MonitorReport
from platform_lib.monitoring.live_score import ScoreWindow
from platform_lib.report.blocks import Block, Figure, Figures, Section, Table, Text
from platform_lib.report.svg import Chart, span
from platform_lib.training.wording import amount, number

_SURE = 1.96


def score_section(report: MonitorReport) -> Section:
    """The score per window, its estimate, and what they are worth."""
    score = report.score
    direction = "higher is better" if score.greater_is_better else "lower is better"
    figure = _figure(report, direction)
    blocks: list[Block] = [] if figure is None else [Figures(figures=[figure])]
    if score.assumption:
        blocks.append(Text(text=score.assumption))
    rows = [
        _row(f"{start:%Y-%m-%d %H:%M}", part)
        for start, part in zip(report.windows, score.windows, strict=True)
        if part.rows
    ]
    blocks.append(
        Table(
            caption=f"{score.metric}, {direction}",
            headers=("window (UTC)", "rows", "labelled", "score", "standard error", "estimate", "its error"),
            rows=[*rows, _row("all", score.total)],
            numeric=frozenset(range(7)),
            note=""
            if score.held_out is None
            else f"On the held-out rows of the training it was {number(score.held_out)}.",
        )
    )
    counts = {"replaced": score.duplicates, "of unknown rows": score.unknown, "unusable": score.unusable}
    if said := ", ".join(f"{count:,} {what}" for what, count in counts.items() if count):
        blocks.append(Text(text=f"Labels that do not count: {said}."))
    return Section(anchor="score", title="Score", blocks=blocks)


def _row(name: str, part: ScoreWindow) -> tuple[str, ...]:
    return (
        name,
        f"{part.rows:,}",
        f"{part.labelled:,}",
        number(part.score),
        number(part.error),
        number(part.estimate),
        number(part.estimate_error),
    )


def _figure(report: MonitorReport, direction: str) -> Figure | None:
    """Score and estimate with 95 % intervals over the windows."""
    score = report.score
    labelled = [
        (i, part.score, _SURE * (part.error or 0.0)) for i, part in enumerate(score.windows) if part.score is not None
    ]
    expected = [
        (i, part.estimate, _SURE * (part.estimate_error or 0.0))
        for i, part in enumerate(score.windows)
        if part.estimate is not None
    ]
    if not labelled and not expected:
        return None
    ends = [value + side * width for _, value, width in (*labelled, *expected) for side in (-1, 1)]
    held_out = [] if score.held_out is None else [score.held_out]
    said = f"{score.metric} per window with 95 % intervals, {direction}." + (
        f" The dashed line is the held-out rows' {amount(score.held_out)}." if score.held_out is not None else ""
    )
    low, high = span([*ends, *held_out])
    room = 0.25 * (high - low)  # for the legend
    chart = Chart("Score over time", said, x=(-0.5, len(report.windows) - 0.5), y=(low - room, high))
    chart.axes("start of the window (UTC)", score.metric, x_ticks=False)
    for place in sorted({0, len(report.windows) // 2, len(report.windows) - 1}):
        chart.text(chart.x(place), chart.y.start + 15, f"{report.windows[place]:%m-%d %H:%M}", anchor="middle")
    for held in held_out:
        chart.rule(y=held)
    for points, kind, offset in ((expected, "s2", 0.1), (labelled, "s1", -0.1)):
        x, y = [i + offset for i, _, _ in points], [value for _, value, _ in points]
        for at, value, (_, _, width) in zip(x, y, points, strict=True):
            chart.line([at, at], [value - width, value + width], kind)
        if points:
            chart.points(x, y, kind, size=4)
    names = [("from labels", "s1"), ("estimate", "s2")]
    present = [bool(labelled), bool(expected)]
    chart.legend([name for name, there in zip(names, present, strict=True) if there], top=False)
    return Figure(chart=chart, heading="Score over time", caption=said)


def traffic_section(report: MonitorReport) -> Section:
    """Requests and latency of every version in the log."""
    table = Table(
        caption="Answered requests of each version",
        headers=("version", "requests", "rows", "median, ms", "99 % below, ms"),
        rows=[
            (own.version, f"{own.requests:,}", f"{own.rows:,}", f"{own.p50_ms:.2f}", f"{own.p99_ms:.2f}")
            for own in report.traffic
        ],
        numeric=frozenset({1, 2, 3, 4}),
        note="Errors are not in the request log: the dashboard and mlp_errors_total of the server's metrics have them.",
    )
    return Section(anchor="traffic", title="Traffic", blocks=[table])
