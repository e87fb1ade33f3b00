"""Charts as inline SVG: axes, lines, bands, points and bars in colours that the page's style sheet decides.

Every text is escaped by ElementTree. A chart has a title and a description, which screen readers read instead of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from xml.etree.ElementTree import Element, SubElement, tostring

WIDTH, HEIGHT = 440.0, 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 14.0, 12.0, 42.0
_LETTER = 6.6
"""Width of a letter at the size that the style sheet gives to ticks."""
ROWS = "rows"
"""Label of an axis that counts, so that only whole numbers are on it."""
SERIES = 5
"""Colours that the style sheet has, `s1` to `s5`."""
_ids = count(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Maps values to pixels, in a straight line."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside are put on the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def span(values: Sequence[float], *, margin: float = 0.04) -> tuple[float, float]:
    """Smallest and largest of the finite values, moved apart a little; 0 and 1 if there is none.

    Args:
        values: Any numbers.
        margin: Share of the distance to add on each side.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return low - room, high + room


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, about `most`; none if the range is empty or too narrow to tell numbers apart."""
    if not (math.isfinite(low) and math.isfinite(high)) or high - low <= 1e-9 * max(abs(low), abs(high)):
        return []
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A tick as short text: 0.25, 1,500, 2.5M."""
    magnitude = abs(value)
    for limit, letter in ((1e9, "G"), (1e6, "M")):
        if magnitude >= limit:
            return f"{value / limit:.4g}{letter}"
    if magnitude >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if magnitude >= 1e-9 else "0"


def shortened(text: str, most: int = 22) -> str:
    """A text that fits beside an axis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def legend_height(names: int) -> int:
    """The height in pixels of a legend of so many names, 0 of none."""
    return 16 * names + 6 if names else 0


class Chart:
    """One chart, drawn step by step."""

    def __init__(
        self,
        title: str,
        description: str,
        *,
        x: tuple[float, float] = (0.0, 1.0),
        y: tuple[float, float] = (0.0, 1.0),
        height: float = HEIGHT,
        left: float = _LEFT,
        bottom: float = _BOTTOM,
    ) -> None:
        """Start a chart.

        Args:
            title: What it is, in a few words.
            description: What it shows, with its main numbers, for those who do not see it.
            x: Range of the horizontal axis; high > low.
            y: Range of the vertical axis; high > low.
            height: In pixels, of a width of 440.
            left: Room for the vertical axis.
            bottom: Room for the horizontal axis.
        """
        number = next(_ids)
        self.root = Element("svg", {"viewBox": f"0 0 {WIDTH:g} {height:g}", "role": "img"})
        self.root.set("aria-labelledby", f"t{number} d{number}")
        SubElement(self.root, "title", {"id": f"t{number}"}).text = title
        SubElement(self.root, "desc", {"id": f"d{number}"}).text = description
        self.x = Scale(low=x[0], high=x[1], start=left, end=WIDTH - _RIGHT)
        self.y = Scale(low=y[0], high=y[1], start=height - bottom, end=_TOP)
        self._height = height

    def axes(self, x_label: str, y_label: str, *, x_ticks: bool = True, y_ticks: bool = True) -> "Chart":
        """Draw the frame, the grid, the ticks and the labels."""
        left, right, low, high = self.x.start, self.x.end, self.y.start, self.y.end
        for value in ticks(self.x.low, self.x.high) if x_ticks else []:
            at = self.x(value)
            self._line(at, low, at, high, "grid")
            self.text(at, low + 15, tick_text(value), anchor="middle")
        for value in ticks(self.y.low, self.y.high, 5) if y_ticks else []:
            if y_label == ROWS and value != int(value):
                continue
            at = self.y(value)
            self._line(left, at, right, at, "grid")
            self.text(left - 6, at + 4, tick_text(value), anchor="end")
        self._line(left, low, right, low, "axis")
        self._line(left, low, left, high, "axis")
        self.text((left + right) / 2, self._height - 6, x_label, anchor="middle", kind="label")
        if y_label:
            middle = (low + high) / 2
            made = self.text(12, middle, y_label, anchor="middle", kind="label")
            made.set("transform", f"rotate(-90 12 {middle:g})")
        return self

    def line(self, x: Sequence[float], y: Sequence[float], kind: str = "s1") -> "Chart":
        """Draw a line through points."""
        points = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(x, y, strict=True))
        SubElement(self.root, "polyline", {"points": points, "class": f"line {kind}"})
        return self

    def band(self, x: Sequence[float], low: Sequence[float], high: Sequence[float], kind: str = "s1") -> "Chart":
        """Fill the area between two lines."""
        there = [f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(x, high, strict=True)]
        back = [f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(reversed(x), reversed(low), strict=True)]
        SubElement(self.root, "polygon", {"points": " ".join(there + back), "class": f"band {kind}"})
        return self

    def points(self, x: Sequence[float], y: Sequence[float], kind: str = "s1", size: float = 3.0) -> "Chart":
        """Draw a dot for each point; all of them are one path, so that a thousand stay small."""
        dots = "".join(f"M{self.x(a):.1f} {self.y(b):.1f}h0" for a, b in zip(x, y, strict=True))
        SubElement(self.root, "path", {"d": dots or "M0 0", "class": f"dots {kind}", "stroke-width": f"{size * 2:g}"})
        return self

    def bar(self, x: tuple[float, float], y: tuple[float, float], kind: str = "s1") -> "Chart":
        """Fill a rectangle, given by two values on each axis."""
        left, right = sorted((self.x(x[0]), self.x(x[1])))
        top, low = sorted((self.y(y[0]), self.y(y[1])))
        box = {"x": left, "y": top, "width": max(right - left, 0.5), "height": max(low - top, 0.0)}
        SubElement(self.root, "rect", {key: f"{value:.1f}" for key, value in box.items()} | {"class": f"bar {kind}"})
        return self

    def rule(self, *, x: float | None = None, y: float | None = None, kind: str = "mark") -> "Chart":
        """Draw a line across the whole chart at one value."""
        if x is not None:
            self._line(self.x(x), self.y.start, self.x(x), self.y.end, kind)
        if y is not None:
            self._line(self.x.start, self.y(y), self.x.end, self.y(y), kind)
        return self

    def interval(self, low: float, high: float, at: float, kind: str = "s1") -> "Chart":
        """Draw a horizontal interval with ends."""
        height = self.y(at)
        self._line(self.x(low), height, self.x(high), height, f"whisker {kind}")
        for end in (low, high):
            self._line(self.x(end), height - 4, self.x(end), height + 4, f"whisker {kind}")
        return self

    def legend(self, names: Sequence[tuple[str, str]], *, right: bool = False, top: bool = True) -> "Chart":
        """Name the series: text and kind of each, in a corner."""
        at = self.y.end + 14 if top else self.y.start - 8 - 16 * (len(names) - 1)
        wide = max((len(shortened(text, 26)) for text, _ in names), default=0) * _LETTER
        start = self.x.end - wide - 34 if right else self.x.start + 10
        box = {"x": start - 4, "y": at - 13, "width": wide + 36, "height": legend_height(len(names)) - 2}
        SubElement(self.root, "rect", {key: f"{value:.1f}" for key, value in box.items()} | {"class": "behind"})
        for number, (text, kind) in enumerate(names):
            self._line(start, at + 16 * number - 4, start + 20, at + 16 * number - 4, f"line {kind}")
            self.text(start + 26, at + 16 * number, shortened(text, 26))
        return self

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", kind: str = "tick") -> Element:
        """Write a text at a pixel."""
        made = SubElement(self.root, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind})
        if anchor != "start":
            made.set("text-anchor", anchor)
        made.text = text
        return made

    def markup(self) -> str:
        """The chart as an element of an HTML page."""
        return tostring(self.root, encoding="unicode")

    def _line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        SubElement(self.root, "line", {key: f"{value:.1f}" for key, value in ends.items()} | {"class": kind})
