"""Tables and lines of text for 80 columns."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from platform_lib.training.wording import decision_of
from platform_lib.training.wording import number as number
from platform_lib.training.wording import verdict_lines as verdict_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def table(*headers: str, numeric: Iterable[str] = (), fixed: Iterable[str] = ()) -> "Table":
    """Create an empty table without borders.

    Args:
        *headers: Column headers, from left to right.
        numeric: Headers of right-aligned columns.
        fixed: Headers of columns that never wrap.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(
            heading(header),
            justify="right" if header in numeric else "left",
            no_wrap=header in fixed,
            min_width=min(12, max(map(len, heading(header).split()), default=0)),  # headers break between words
            overflow="fold",
            vertical="top",
        )
    return made


def pairs(values: Mapping[str, str]) -> "Table":
    """Create a two-column table of labels and values."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for label, value in values.items():
        made.add_row(label, value)
    return made


def show(console: "Console", shown: "Table") -> None:
    """Print a table; without trailing spaces when piped."""
    if console.is_terminal:
        console.print(shown)
        return
    with console.capture() as captured:
        console.print(shown)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def heading(text: str) -> str:
    """Format a name as a header that can wrap between its words."""
    return text.replace("_", " ")


def moment(time: datetime) -> str:
    """Format a time in the local time zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def short(hashed: str) -> str:
    """Shorten a hash to eight characters."""
    return hashed[:8] or "–"


def metrics_table(evaluation: Mapping[str, Any]) -> "Table":
    """Create a table of an evaluation's metrics, standard errors, and the scores of constant predictions."""
    errors: Mapping[str, Any] = evaluation.get("standard_errors", {})
    constants: Mapping[str, Any] = evaluation.get("baseline", {})
    headers = ("metric", "value", "±", *(["constant"] if constants else []))
    made = table(*headers, numeric=headers[1:])
    for name, value in evaluation.get("metrics", {}).items():
        cells = [number(value), number(errors[name]) if name in errors else ""]
        made.add_row(name, *cells, *([number(constants.get(name))] if constants else []))
    return made


def verdict_text(tags: Mapping[str, str]) -> "Text":
    """Format in a word whether a version may serve; red if it did not pass the gate."""
    from rich.text import Text

    from platform_lib.registry.approval import override_of, verdict_of, why_not

    if why_not(tags) is None:
        return Text("passed")
    verdict = verdict_of(tags)
    word = "not run" if not verdict else "refused" if verdict.get("passed") else decision_of(verdict)
    override = override_of(tags)
    forced = "" if override is None else f", forced{f' as {override.role}' if override.role else ''}"
    return Text(f"{word}{forced}", style="bold red")


def override_lines(tags: Mapping[str, str]) -> list[str]:
    """Format who let a version serve that had not passed the gate, when and why; empty if nobody did."""
    from platform_lib.registry.approval import override_of

    override = override_of(tags)
    if override is None:
        return []
    scope = f", as {override.role} only," if override.role else ""
    who = f" by {override.by}" if override.by else ""
    when = f" at {override.at}" if override.at else ""
    return [f"Gate overridden{scope}{who}{when}: {override.reason or 'no reason was recorded'}"]
