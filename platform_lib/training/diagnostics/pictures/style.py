"""How pictures look: size, colours, and a canvas that needs no display."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, LIGHT = "#1f5fa8", "#c8560b", "#6b7280", "#d3dae3"
SERIES = (BLUE, ORANGE, "#2b7a4b", "#7b4ba0", "#a0323c", "#5b6b2f", "#0f7b8a", "#8a6d0f")
"""Colours of classes, in this order; they keep 4.5:1 against white."""
FEW = 3
"""Most curves whose legend fits into the axes."""
_DPI = 110
_STYLE: Any = {
    "font.size": 10.0,
    "axes.titlesize": 12.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#1f2937",
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "legend.frameon": False,
    "text.parse_math": False,  # names of columns and classes are shown as they are
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A picture to be drawn."""

    name: str
    """Of the file, without suffix."""
    title: str
    description: str
    """What it shows, in a sentence, for those who do not see it."""
    draw: Callable[["Figure"], None]
    size: tuple[float, float] = (7.0, 4.6)
    """Width and height, in inches."""


def png(drawing: Drawing) -> bytes:
    """Draw a picture as PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # `Figure` instead of pyplot, which holds every figure, and a style for this one only.
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=drawing.size, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        drawing.draw(figure)
        written = BytesIO()
        figure.savefig(written, format="png", metadata={"Title": drawing.title, "Description": drawing.description})
    return written.getvalue()


def axes_of(figure: "Figure", title: str, x: str, y: str, *, grid: str | None = "both") -> "Axes":
    """One set of axes with title and labels.

    Args:
        figure: To draw on.
        title: Above the axes.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        grid: `both`, `x`, `y`, or None for no lines.
    """
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if grid is not None:
        axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    return axes


def short(text: str, most: int = 24) -> str:
    """A text of at most `most` characters, with … in place of its middle, as names often differ at the end."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"


def legend_of(axes: "Axes", curves: int, loc: Any) -> None:
    """A legend in the axes, or right of them if it has many entries.

    Args:
        axes: With labelled lines.
        curves: Number of them.
        loc: Where in the axes.
    """
    if curves > FEW:
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), fontsize=9)
    else:
        axes.legend(loc=loc, fontsize=9)


def number(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:.3g}" if abs(value) < 1000 or abs(value) >= 1e7 else f"{value:,.0f}"
