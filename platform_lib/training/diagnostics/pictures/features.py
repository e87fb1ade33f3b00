"""Pictures of features: importance, partial dependence, and slices."""

from typing import TYPE_CHECKING, Any

import numpy as np

from platform_lib.training.diagnostics.pictures.style import BLUE, GREY, ORANGE, SERIES, Drawing, axes_of, number, short
from platform_lib.training.diagnostics.tables import Dependence, Importances, SliceSearch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_FEATURES = 20
_MOST_SLICES = 12


def importance_drawing(importances: Importances) -> Drawing:
    """The strongest features with their intervals."""
    shown = importances.features[:_MOST_FEATURES]

    def draw(figure: "Figure") -> None:
        axes = axes_of(
            figure,
            "What the model relies on",
            f"how much worse {importances.metric} gets, with 95 % interval",
            "",
            grid="x",
        )
        names = [short(part.feature, 30) for part in shown]
        losses = np.array([part.loss for part in shown])
        errors = [losses - [part.interval.low for part in shown], [part.interval.high for part in shown] - losses]
        colors = [BLUE if part.interval.low > 0 else "#9aa7b8" for part in shown]
        axes.barh(range(len(shown)), losses, color=colors, height=0.65)
        axes.errorbar(
            losses, range(len(shown)), xerr=errors, color="#1f2937", linestyle="none", capsize=2.5, linewidth=1
        )
        axes.set_yticks(range(len(shown)), names)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.invert_yaxis()

    strong = [part.feature for part in shown if part.interval.low > 0]
    others = len(importances.features) - len(shown)
    return Drawing(
        name="importance",
        title="What the model relies on",
        description=f"More than chance: {', '.join(strong) or 'no feature'}."
        + (f" {others} weaker features are not shown." if others else ""),
        draw=draw,
        size=(7.0, 1.6 + 0.3 * max(len(shown), 3)),
    )


def dependence_drawing(dependence: list[Dependence], target: str) -> Drawing:
    """Partial dependence of up to six features, on one scale.

    Args:
        dependence: Of the strongest features, not empty.
        target: Name of the target, for the axis.
    """
    columns = min(3, len(dependence))
    lines = -(-len(dependence) // columns)

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
        for axes, part in zip(panels, dependence, strict=False):
            for means, color, label in zip(part.means, SERIES, part.classes or [""], strict=False):
                _line(axes, part, means, color, label)
            axes.set_xlabel(short(part.feature, 28))
            axes.grid(visible=True, axis="y")
        for axes in panels[len(dependence) :]:
            axes.set_visible(False)
        first = dependence[0]
        single = first.classes[0] if len(first.classes) == 1 else None
        figure.suptitle("Mean prediction if all rows had one value", x=0.01, ha="left", fontsize=12)
        label = f"predicted {target}" if not first.classes else f"probability of {single}" if single else "probability"
        figure.supylabel(short(label, 40), fontsize=10)
        if len(first.classes) > 1:
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=3)

    return Drawing(
        name="dependence",
        title="Mean prediction if all rows had one value",
        description="Partial dependence on " + ", ".join(part.feature for part in dependence) + ".",
        draw=draw,
        size=(3.0 * columns + 0.6, 2.5 * lines + 0.7),
    )


def _line(axes: "Axes", part: Dependence, means: list[float], color: str, label: str) -> None:
    values: Any = part.values
    if part.kind == "category":
        places = range(len(values))
        axes.plot(places, means, color=color, marker="o", markersize=5, linestyle="none", label=short(label))
        every = max(1, len(values) // 8)
        names = [short(str(value), 12) for value in values]
        axes.set_xticks(places[::every], names[::every], rotation=30, ha="right", fontsize=8)
        axes.margins(x=0.15)
        return
    if part.kind == "time":
        values = np.array(values, dtype="datetime64[us]")
        axes.tick_params(axis="x", rotation=30, labelsize=8)
    axes.plot(values, means, color=color, label=short(label))
    axes.plot(
        values,
        np.full(len(values), 0.0),
        color=GREY,
        marker="|",
        linestyle="none",
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        markersize=6,
    )


def slices_drawing(search: SliceSearch) -> Drawing | None:
    """Slices that are worse than the rest, else those of configured columns; None if there are neither."""
    shown = search.found[:_MOST_SLICES] or search.configured[:_MOST_SLICES]
    if not shown:
        return None

    def draw(figure: "Figure") -> None:
        title = (
            "Slices that are worse than the rest"
            if search.found
            else "Configured slices; none is worse by more than chance"
        )
        axes = axes_of(figure, title, f"{search.loss}, with 95 % interval", "", grid="x")
        losses = np.array([part.loss for part in shown])
        errors = np.maximum(
            [losses - [part.interval.low for part in shown], [part.interval.high for part in shown] - losses], 0
        )
        places = range(len(shown))
        axes.errorbar(
            losses,
            places,
            xerr=errors,
            color=ORANGE if search.found else BLUE,
            marker="o",
            linestyle="none",
            capsize=3,
            label="in the slice",
        )
        if any(part.expected_loss is not None for part in shown):
            axes.plot(
                np.array([part.expected_loss for part in shown], dtype=np.float64),
                places,
                color=BLUE,
                marker="x",
                linestyle="none",
                label="as the model's probabilities expect",
            )
        axes.axvline(search.overall, color=GREY, linestyle=":", label=f"all rows: {number(search.overall)}")
        axes.set_yticks(
            places, [f"{short(part.column, 20)} = {short(part.value, 28)} ({part.rows:,} rows)" for part in shown]
        )
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.invert_yaxis()
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)

    count = len(search.found)
    return Drawing(
        name="slices",
        title="Slices",
        description=f"{count} of {search.looked_at} slices {'is' if count == 1 else 'are'} worse than the rest by more "
        "than chance.",
        draw=draw,
        size=(7.6, 1.9 + 0.34 * len(shown)),
    )
