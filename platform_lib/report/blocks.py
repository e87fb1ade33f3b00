"""The parts that a page is made of: sections with texts, lists, tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from platform_lib.report.svg import Chart


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A list of sentences."""

    items: Sequence[str]
    kind: str = "items"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell of a table with a shade."""

    text: str
    shade: float = 0.0
    """0 for none, 1 for the strongest."""
    tone: str = ""
    """`good` or `bad` for a coloured text, which says the same in words."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table with a caption; the first cell of each row is its header."""

    caption: str
    headers: Sequence[str]
    rows: "Sequence[Sequence[str | Cell | Chart]]"
    numeric: frozenset[int] = frozenset()
    """Positions of right-aligned columns."""
    note: str = ""
    kind: str = "table"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A chart with a caption."""

    chart: Chart
    caption: str
    heading: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Charts side by side where the page is wide enough."""

    figures: Sequence[Figure]
    kind: str = "figures"


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """Blocks that are shown on request."""

    summary: str
    blocks: "Sequence[Block]"
    kind: str = "folded"


Block = Text | Items | Table | Figures | Folded


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of the page with a heading and an entry in the table of contents."""

    anchor: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def pairs(caption: str, values: dict[str, str], first: str = "name") -> Table:
    """A table of names and values."""
    return Table(caption=caption, headers=(first, "value"), rows=list(values.items()))
