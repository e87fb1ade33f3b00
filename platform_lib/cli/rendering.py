"""How results look as text: tables, numbers and verdicts, made to be read at 80 columns. What they say is the caller's."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def table(*headers: str, numeric: Iterable[str] = (), fixed: Iterable[str] = ()) -> "Table":
    """An empty table without frames.

    Args:
        numeric: Headers of columns that are aligned right and never wrap.
        fixed: Headers of further columns that never wrap.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(
            heading(header),
            justify="right" if header in numeric else "left",
            no_wrap=header in fixed,
            overflow="fold",
            vertical="top",
        )
    return made


def pairs(values: Mapping[str, str]) -> "Table":
    """Labels and their values."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for label, value in values.items():
        made.add_row(label, value)
    return made


def show(console: "Console", shown: "Table") -> None:
    """Print a table; piped, without the spaces that fill its lines."""
    if console.is_terminal:
        console.print(shown)
        return
    with console.capture() as captured:
        console.print(shown)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def heading(text: str) -> str:
    """A name as a header that may wrap between its words."""
    return text.replace("_", " ")


def number(value: Any) -> str:
    """A figure with the digits that matter; a dash where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{value:,.0f}"
    magnitude = abs(value)
    return f"{value:.4f}" if magnitude < 1000 and (magnitude >= 0.001 or magnitude == 0) else f"{value:.4g}"


def moment(time: datetime) -> str:
    """A point in time, in the reader's zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def short(hashed: str) -> str:
    """The beginning of a hash."""
    return hashed[:8] or "–"


def metrics_table(evaluation: Mapping[str, Any]) -> "Table":
    """Metrics of an evaluation with their noise."""
    errors: Mapping[str, Any] = evaluation.get("standard_errors", {})
    made = table("metric", "value", "±", numeric=("value", "±"))
    for name, value in evaluation.get("metrics", {}).items():
        made.add_row(name, number(value), number(errors[name]) if name in errors else "")
    return made


def verdict_lines(verdict: Mapping[str, Any] | None) -> list[str]:
    """What the gate said, in whole lines."""
    if verdict is None:
        return ["Gate: never asked"]
    if not verdict.get("passed"):
        return ["Gate: refused", *(f"  - {reason}" for reason in verdict.get("reasons", []))]
    metric, champion = verdict.get("metric"), verdict.get("champion_score")
    if champion is not None:
        interval: Sequence[float] | None = verdict.get("interval")
        lines = [
            f"{metric} {number(verdict.get('score'))}; champion, version {verdict.get('champion_version')}, {number(champion)} on the same rows"
        ]
        lines += [f"better by {interval[0]:+.4f} to {interval[1]:+.4f} (95 %)"] if interval else []
        return ["Gate: passed", *(f"  {line}" for line in lines)]
    limits = ", ".join(f"{name} {number(value)}" for name, value in verdict.get("thresholds", {}).items())
    return [
        "Gate: passed",
        f"  thresholds alone decided: {limits}"
        if limits
        else "  nothing to compare with, and no threshold is set in conf/gate",
    ]
