"""Parse PromQL with Prometheus itself: its selectors, and the labels of its joins and groupings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx


@dataclass(frozen=True)
class Selector:
    """One `name{label="value"}` selector of an expression."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """(label, operator, value), the name left out."""

    def text(self, without: str = "") -> str:
        """Return the selector as PromQL, without the matcher of one label."""
        inside = ",".join(f'{label}{operator}"{value}"' for label, operator, value in self.matchers if label != without)
        return f"{self.metric}{{{inside}}}"


@dataclass(frozen=True)
class Parsed:
    """What an expression refers to."""

    selectors: tuple[Selector, ...]
    labels: frozenset[str]
    """Of `by`, `on` and `group_left`."""


@lru_cache(maxsize=8)
def _client(prometheus: str) -> httpx.Client:
    return httpx.Client(base_url=prometheus, trust_env=False)


def ask(prometheus: str, expression: str) -> list[dict[str, Any]]:
    """The series that a query returns now, except those whose value is NaN."""
    answer = _client(prometheus).get("/api/v1/query", params={"query": expression})
    assert answer.status_code == 200, answer.text
    return [series for series in answer.json()["data"]["result"] if series["value"][1] != "NaN"]


def parse(prometheus: str, expression: str) -> Parsed:
    """Ask Prometheus for the tree of an expression."""
    answer = _client(prometheus).get("/api/v1/parse_query", params={"query": expression})
    assert answer.status_code == 200, answer.text
    nodes = list(_nodes(answer.json()["data"]))
    selectors = tuple(
        Selector(
            node["name"], tuple((m["name"], m["type"], m["value"]) for m in node["matchers"] if m["name"] != "__name__")
        )
        for node in nodes
        if node.get("type") in ("vectorSelector", "matrixSelector")
    )
    labels = {label for node in nodes for label in node.get("grouping") or [] if not node["without"]}
    labels |= {
        label
        for node in nodes
        for label in (*(node.get("labels") or []), *(node.get("include") or []))
        if "card" in node
    }
    return Parsed(selectors, frozenset(labels))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
