"""Draw a run: requests/s and p99 of one row at 64 connections, as an SVG with two panels per model.

The SVG has no background, and its colours suit light and dark pages.
"""

from pathlib import Path
from typing import Any

from benchmarks.serving.peers.results import OURS, Load, Run

LOAD = "1x64"
INK, OURS_COLOUR, PEER_COLOUR = "#7a828c", "#2f8f6b", "#8a97ab"
COLUMNS = (("per_second", "requests/s, more is better"), ("p99_ms", "p99 in ms, less is better"))


def draw(run: Run, file: Path) -> None:
    """Draw a run and write the SVG file."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(entry.model for entry in run.measured))
    style: dict[Any, Any] = {
        "svg.hashsalt": "peers",
        "svg.fonttype": "none",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with rc_context(style):
        figure = Figure(figsize=(9, 0.6 + 2.5 * len(models)), layout="constrained")
        FigureCanvasSVG(figure)
        figure.suptitle("One row per request, 64 connections, one core for the server", color=INK, fontsize=10)
        for place, model in enumerate(models):
            loads = [
                (about.title, about.name, entry.load(LOAD))
                for about in run.servers
                if (entry := run.of(about.name, model))
            ]
            shown = [(title, name, load) for title, name, load in loads if load and load.per_second]
            for column, (measure, label) in enumerate(COLUMNS):
                axes = figure.add_subplot(len(models), len(COLUMNS), place * len(COLUMNS) + column + 1)
                _panel(axes, shown, measure, f"{model}: {label}", names=column == 0)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})


def _panel(axes: Any, shown: list[tuple[str, str, Load]], measure: str, title: str, *, names: bool) -> None:
    values = [getattr(load, measure) for _, _, load in shown]
    bars = axes.barh(
        range(len(shown)),
        values,
        color=[OURS_COLOUR if name == OURS else PEER_COLOUR for _, name, _ in shown],
        height=0.7,
    )
    axes.bar_label(bars, [f"{value:,.0f}" if value >= 10 else f"{value:.1f}" for value in values], padding=3, color=INK)
    axes.set_xscale("log")
    axes.set_xlim(min(values, default=1) / 2, max(values, default=1) * 4)
    axes.set_yticks(range(len(shown)), [title for title, _, _ in shown] if names else [""] * len(shown))
    axes.invert_yaxis()
    axes.set_title(f"{title} (logarithmic)", fontsize=9, color=INK, loc="left")
    axes.tick_params(length=0)
    axes.set_xticks([], minor=True)
    axes.set_xticks([])
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
