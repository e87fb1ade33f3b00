"""Read a report as a browser would: tables, charts, ids and addresses."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img"}


@dataclass
class Page(HTMLParser):
    """A parsed report."""

    text: str
    open_tags: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    """Caption → rows of cells, the header first."""
    titles: list[str] = field(default_factory=list)
    """Of the charts."""

    def __post_init__(self) -> None:
        super().__init__()
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(self.text)
        self.wrong += [f"<{tag}> is not closed" for tag in self.open_tags]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open_tags.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag == "title" and "svg" in self.open_tags:
            self.titles.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if not self.open_tags:
            return
        if self.open_tags[-1] == "caption":
            self._caption += data
        if "svg" in self.open_tags:
            if self.open_tags[-1] == "title":
                self.titles[-1] += data
        elif self._rows and self._rows[-1] and {"td", "th"} & set(self.open_tags):
            self._rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if not self.open_tags or self.open_tags[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open_tags[-1:]}")
            return
        self.open_tags.pop()
        if tag == "table":
            self.tables[self._caption] = self._rows

    def rows(self, caption: str) -> dict[str, list[str]]:
        """First cell → other cells of the table whose caption starts so."""
        [found] = [rows for title, rows in self.tables.items() if title.startswith(caption)]
        return {row[0]: row[1:] for row in found[1:]}
