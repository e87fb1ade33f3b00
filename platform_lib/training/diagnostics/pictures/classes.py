"""Pictures of a classifier."""

from typing import TYPE_CHECKING

import numpy as np

from platform_lib.training.diagnostics.pictures.style import (
    BLUE,
    FEW,
    GREY,
    LIGHT,
    ORANGE,
    SERIES,
    Drawing,
    axes_of,
    legend_of,
    number,
    short,
)
from platform_lib.training.diagnostics.tables import ClassCurves, ClassTables, Thresholds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CURVES = len(SERIES)
_MOST_LABELS = 30


def class_drawings(tables: ClassTables) -> list[Drawing]:
    """The pictures that the tables of a classifier allow."""
    drawings = []
    if len(tables.labels) <= _MOST_LABELS:
        drawings.append(_confusion(tables))
    if tables.curves:
        curves = sorted(tables.curves, key=lambda curve: -curve.rows)[:_MOST_CURVES]
        drawings += [_roc(curves), _precision_recall(curves), _calibration(curves), _scores(curves)]
    if tables.thresholds is not None:
        drawings.append(_thresholds(tables.thresholds))
    return drawings


def _confusion(tables: ClassTables) -> Drawing:
    counts = np.array(tables.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [short(label, 18) for label in tables.labels]
    side = min(4.4 + 0.42 * len(labels), 14.0)

    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "Confusion matrix", "predicted", "actual", grid=None)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(
            range(len(labels)),
            labels,
            rotation=45 if len(labels) > 3 else 0,
            ha="right" if len(labels) > 3 else "center",
        )
        axes.set_yticks(range(len(labels)), labels)
        size = 11 if len(labels) <= 5 else 8 if len(labels) <= 12 else 6
        for row, column in np.ndindex(*counts.shape):
            share = f"\n{shares[row, column]:.0%}" if len(labels) <= 12 else ""
            color = "white" if shares[row, column] > 0.55 else "#1f2937"
            if counts[row, column] or len(labels) <= 5:
                axes.text(
                    column, row, f"{counts[row, column]:,}{share}", ha="center", va="center", color=color, fontsize=size
                )
        for spine in axes.spines.values():
            spine.set_visible(False)

    right = int(np.trace(counts))
    return Drawing(
        name="confusion",
        title="Confusion matrix",
        description=f"{right} of {counts.sum()} rows are predicted right. Percentages are shares of the actual class.",
        draw=draw,
        size=(side + 0.8, side),
    )


def _roc(curves: list[ClassCurves]) -> Drawing:
    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "ROC curve", "false positive rate", "true positive rate")
        for curve, color in zip(curves, SERIES, strict=False):
            axes.plot(curve.roc.x, curve.roc.y, color=color, label=f"{short(curve.label)}: area {curve.roc.area:.3f}")
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance: area 0.500")
        _unit_square(axes)
        legend_of(axes, len(curves), "lower right")

    return Drawing(
        name="roc",
        title="ROC curve",
        description="Area under the ROC curve: "
        + ", ".join(f"{curve.label} {curve.roc.area:.3f}" for curve in curves)
        + ".",
        draw=draw,
        size=_square(curves),
    )


def _precision_recall(curves: list[ClassCurves]) -> Drawing:
    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "Precision and recall", "recall", "precision")
        for curve, color in zip(curves, SERIES, strict=False):
            found = curve.precision_recall
            axes.plot(
                found.x,
                found.y,
                color=color,
                label=f"{short(curve.label)}: average precision {found.area:.3f}",
                drawstyle="steps-post",
            )
            axes.axhline(curve.base_rate, color=color, linestyle=":", linewidth=1)
        axes.plot([], [], color=GREY, linestyle=":", linewidth=1, label="chance: the base rate")
        _unit_square(axes)
        legend_of(axes, len(curves), "best")

    return Drawing(
        name="precision_recall",
        title="Precision and recall",
        description="Average precision (base rate): "
        + ", ".join(f"{curve.label} {curve.precision_recall.area:.3f} ({curve.base_rate:.3f})" for curve in curves)
        + ".",
        draw=draw,
        size=_square(curves),
    )


def _calibration(curves: list[ClassCurves]) -> Drawing:
    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "Calibration", "mean probability", "observed share, with 95 % interval")
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect")
        for curve, color in zip(curves, SERIES, strict=False):
            bins = curve.calibration.bins
            x, y = [part.predicted for part in bins], [part.observed for part in bins]
            below = [part.observed - part.interval.low for part in bins]
            above = [part.interval.high - part.observed for part in bins]
            label = f"{short(curve.label)}: error {curve.calibration.error:.3f}"
            if len(curves) == 1:
                label += f" (by chance up to {curve.calibration.error_by_chance:.3f})"
            axes.plot(x, y, color=color, marker="o", markersize=4, label=label)
            axes.errorbar(
                x, y, yerr=np.maximum([below, above], 0), color=color, alpha=0.45, linestyle="none", capsize=2
            )
        _unit_square(axes)
        legend_of(axes, len(curves), "upper left")

    return Drawing(
        name="calibration",
        title="Calibration",
        description="Expected calibration error (what chance explains): "
        + ", ".join(
            f"{curve.label} {curve.calibration.error:.3f} ({curve.calibration.error_by_chance:.3f})" for curve in curves
        )
        + ".",
        draw=draw,
        size=_square(curves),
    )


def _scores(curves: list[ClassCurves]) -> Drawing:
    shown = curves[:4]

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, curve in zip(panels, shown, strict=True):
            edges = np.array(curve.scores.edges)
            axes.stairs(
                _shares(curve.scores.of_others), edges, fill=True, color=LIGHT, label=f"not {short(curve.label)}"
            )
            axes.stairs(
                _shares(curve.scores.of_class), edges, fill=True, color=BLUE, alpha=0.65, label=short(curve.label)
            )
            axes.set_xlim(0, 1)
            axes.set_ylabel("share of rows")
            axes.legend(loc="best")
        panels[0].set_title("Probabilities by actual class")
        panels[-1].set_xlabel(
            "probability of the class" if len(shown) > 1 else f"probability of {short(shown[0].label)}"
        )

    return Drawing(
        name="scores",
        title="Probabilities by actual class",
        description="Histograms of the probability of "
        + ", ".join(curve.label for curve in shown)
        + ": of the rows that are of the class, and of the others.",
        draw=draw,
        size=(7.0, 2.2 + 1.9 * len(shown)),
    )


def _thresholds(table: Thresholds) -> Drawing:
    def draw(figure: "Figure") -> None:
        axes = axes_of(figure, "What each threshold gives", f"threshold for {short(table.positive)}", "share")
        for name, values, color in (
            ("precision", table.precision, BLUE),
            ("recall", table.recall, ORANGE),
            ("F1", table.f1, "#2b7a4b"),
        ):
            axes.plot(table.thresholds, values, color=color, label=name)
        axes.plot(
            table.thresholds,
            table.predicted,
            color=GREY,
            linestyle="--",
            label=f"rows predicted {short(table.positive)}",
        )
        if table.current is not None:
            axes.axvline(table.current, color="#1f2937", linewidth=1)
            axes.annotate(
                f"now {number(table.current)}",
                (table.current, 0.02),
                xytext=(4, 0),
                textcoords="offset points",
                rotation=90,
                fontsize=9,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        figure.legend(loc="outside lower center", ncols=4)

    costs = "; ".join(
        f"{number(choice.threshold)} if a missed {table.positive} costs {choice.miss_cost:g} times a false alarm"
        for choice in table.costs
    )
    return Drawing(
        name="thresholds",
        title="What each threshold gives",
        description=f"F1 is highest at {number(table.best_f1)}. Cheapest thresholds: {costs}.",
        draw=draw,
    )


def _shares(counts: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array(counts) / max(sum(counts), 1)


def _square(curves: list[ClassCurves]) -> tuple[float, float]:
    return (9.8 if len(curves) > FEW else 5.6, 5.4)


def _unit_square(axes: "Axes") -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
