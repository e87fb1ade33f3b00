"""Pictures of a regression."""

from typing import TYPE_CHECKING

import numpy as np

from platform_lib.training.diagnostics.pictures.style import BLUE, GREY, LIGHT, ORANGE, Drawing, axes_of, number
from platform_lib.training.diagnostics.tables import NumberTables, Scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def number_drawings(tables: NumberTables, target: str) -> list[Drawing]:
    """The pictures that the tables of a regression allow.

    Args:
        tables: Of the run.
        target: Its name, for the axes.
    """
    drawings = [] if tables.scatter is None else [_predicted_actual(tables.scatter, target)]
    return [*drawings, _residuals(tables), _histogram(tables), _errors(tables)]


def _predicted_actual(scatter: Scatter, target: str) -> Drawing:
    low, high = min(scatter.predicted + scatter.actual), max(scatter.predicted + scatter.actual)

    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "Predicted and actual", f"predicted {target}", f"actual {target}")
        axes.scatter(scatter.predicted, scatter.actual, s=14, color=BLUE, alpha=0.4, linewidths=0)
        axes.plot([low, high], [low, high], color=ORANGE, linewidth=1.2, label="predicted = actual")
        axes.legend(loc="upper left")

    points = len(scatter.predicted)
    shown = f"{points} of {scatter.rows} rows" if points < scatter.rows else f"{points} rows"
    return Drawing(
        name="predicted_actual",
        title="Predicted and actual",
        description=f"{shown}; actual values go from {number(min(scatter.actual))} to {number(max(scatter.actual))}.",
        draw=draw,
        size=(5.8, 5.4),
    )


def _residuals(tables: NumberTables) -> Drawing:
    bins = tables.by_prediction

    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "Residuals by prediction", "prediction", "predicted − actual")
        x = [part.predicted for part in bins]
        axes.fill_between(
            x, [part.low for part in bins], [part.high for part in bins], color=LIGHT, label="middle 80 % of the rows"
        )
        mean = np.array([part.mean for part in bins])
        errors = [mean - [part.interval.low for part in bins], [part.interval.high for part in bins] - mean]
        axes.errorbar(
            x, mean, yerr=errors, color=BLUE, marker="o", markersize=4, capsize=3, label="mean, with 95 % interval"
        )
        axes.axhline(0, color=GREY, linestyle=":")
        figure.legend(loc="outside lower center", ncols=2)

    biased = [part for part in bins if part.interval.low > 0 or part.interval.high < 0]
    return Drawing(
        name="residuals",
        title="Residuals by prediction",
        description=f"In {len(biased)} of {len(bins)} bins the mean residual differs from 0 by more than chance.",
        draw=draw,
    )


def _histogram(tables: NumberTables) -> Drawing:
    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "Residuals", "predicted − actual", "rows", grid="y")
        axes.stairs(tables.residuals.counts, tables.residuals.edges, fill=True, color=BLUE, alpha=0.75)
        axes.axvline(0, color=GREY, linestyle=":")
        axes.axvline(tables.bias, color=ORANGE, linewidth=1.2, label=f"mean {number(tables.bias)}")
        axes.legend(loc="upper right")

    outside = tables.residuals.below + tables.residuals.above
    return Drawing(
        name="residual_histogram",
        title="Residuals",
        description=f"The mean is {number(tables.bias)}; {outside} rows are outside of the picture.",
        draw=draw,
    )


def _errors(tables: NumberTables) -> Drawing:
    shares = [float(share) for share in tables.error_quantiles if share != "1"]
    values = [value for share, value in tables.error_quantiles.items() if share != "1"]

    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "Absolute error", "absolute error", "", grid="x")
        bars = axes.barh([f"{100 * share:g} % of rows are below" for share in shares], values, color=BLUE, height=0.6)
        axes.bar_label(bars, labels=[number(value) for value in values], padding=4)
        axes.margins(x=0.12)
        axes.invert_yaxis()

    return Drawing(
        name="errors",
        title="Absolute error",
        description="; ".join(
            f"{100 * share:g} % are below {number(value)}" for share, value in zip(shares, values, strict=True)
        )
        + ".",
        draw=draw,
        size=(7.0, 3.2),
    )
