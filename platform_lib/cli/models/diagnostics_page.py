"""What `mlp models show` prints of a version's diagnostics: features, slices, and with `--rows` single rows."""

from typing import TYPE_CHECKING

from platform_lib.cli.console import stdout
from platform_lib.cli.rendering import number, show, table
from platform_lib.training.diagnostics.summary import chance_text, is_more_than_chance, slice_text

if TYPE_CHECKING:
    from rich.table import Table

    from platform_lib.training.diagnostics.tables import Diagnostics, Importances, RowRecord, SliceSearch

_MOST_FEATURES = 8
_MOST_SLICES = 5
_MOST_ROWS = 10
_MOST_VALUES = 4


def overview(found: "Diagnostics") -> None:
    """Print the strongest features and the weakest slices."""
    if found.importances is not None:
        _section("Features: how much worse the metric gets when one is shuffled", _importances(found.importances))
    if found.slices is not None:
        _weak_slices(found.slices)


def rows_page(found: "Diagnostics") -> None:
    """Print the rows with the largest errors, and those whose label is likely wrong."""
    console = stdout()
    if found.worst_rows:
        _section(f"Largest errors among {found.rows} held-out rows", _rows(found.worst_rows))
    errors = found.label_errors
    if errors is not None and errors.likely:
        _section("Rows whose label may be wrong", _rows(errors.likely))
        rows = "1 row looks" if errors.count == 1 else f"{errors.count} rows look"
        verdict = "more than chance explains" if is_more_than_chance(errors) else "within chance"
        console.print(f"{rows} like this; right labels would leave {chance_text(errors)}: {verdict}.")
    for part, reason in found.not_computed.items():
        console.print(f"Not computed: {part.replace('_', ' ')}: {reason}")


def _importances(importances: "Importances") -> "Table":
    shown = table("feature", importances.metric, "95 % interval", numeric=(importances.metric, "95 % interval"))
    for part in importances.features[:_MOST_FEATURES]:
        interval = f"{number(part.interval.low)} to {number(part.interval.high)}"
        shown.add_row(part.feature, number(part.loss), interval)
    if (others := len(importances.features) - _MOST_FEATURES) > 0:
        shown.add_row(f"{others} others", "", "")
    return shown


def _weak_slices(search: "SliceSearch") -> None:
    console = stdout()
    console.print(f"\nSlices that are worse than the rest, of {search.looked_at}", style="bold")
    for part in search.found[:_MOST_SLICES]:
        console.print(slice_text(part, search.loss))
    if not search.found:
        console.print("none, by more than chance")


def _rows(records: "list[RowRecord]") -> "Table":
    has_ids = any(record.id is not None for record in records)
    number_name = "error" if records[0].probability is None else "probability"
    names = list(records[0].values)[:_MOST_VALUES]
    headers = ["id" if has_ids else "row", "actual", "predicted", number_name, *names]
    shown = table(*headers, numeric=(number_name,))
    for record in records[:_MOST_ROWS]:
        measured = record.error if record.probability is None else record.probability
        first = record.id if has_ids else str(record.table_row)
        shown.add_row(
            first,
            *("–" if value is None else number(value) for value in (record.actual, record.predicted)),
            number(measured),
            *(record.values[name] for name in names),
        )
    return shown


def _section(title: str, content: "Table") -> None:
    console = stdout()
    console.print()
    console.print(title, style="bold")
    show(console, content)
