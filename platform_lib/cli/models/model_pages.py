"""Pages that `mlp models show` and `mlp models diff` print."""

import dataclasses
import string
from typing import TYPE_CHECKING, Any

from platform_lib import lineage
from platform_lib.cli.console import stdout
from platform_lib.cli.models.diagnostics_page import overview
from platform_lib.cli.rendering import metrics_table, moment, number, override_lines, pairs, show, table, verdict_lines
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.approval import refusal
from platform_lib.training.inspection import Differences, Inspected, describe_column

if TYPE_CHECKING:
    from rich.table import Table


def as_dict(version: Inspected) -> dict[str, Any]:
    """Convert a version to the JSON of `mlp models show --json`."""
    import msgspec

    record = version.record
    return {
        "name": record.name,
        "version": record.version,
        "aliases": list(record.aliases),
        "run_id": record.run_id,
        "created_at": record.created_at.isoformat(),
        "gate": record.verdict,
        "override": None if record.override is None else dataclasses.asdict(record.override),
        "evaluation": version.evaluation,
        "diagnostics": None if version.diagnostics is None else msgspec.to_builtins(version.diagnostics),
        "card": msgspec.to_builtins(version.card),
        "contract": msgspec.to_builtins(version.contract),
        "config": version.config,
        "lineage": dataclasses.asdict(version.origin),
        "tags": record.tags,
    }


def page(version: Inspected) -> None:
    """Print everything about one version."""
    console, record, evaluation = stdout(), version.record, version.evaluation
    console.print(f"{record.name} version {record.version}", style="bold")
    estimator = record.tags.get(VersionTag.ESTIMATOR)
    made = f"{estimator} ({record.tags.get(VersionTag.MODEL, 'no choice of conf/model')}); " if estimator else ""
    console.print(f"{made}{', '.join(record.aliases) or 'no alias'}; trained {moment(record.created_at)}\n")
    style = None if record.passed_gate else "bold red"
    for line in (*verdict_lines(record.verdict), *override_lines(record.tags)):
        console.print(line, style=style)
    if reason := refusal(record.name, record.version, record.tags, Alias.CHAMPION):
        console.print(f"Servers refuse it: {reason}", style=style)
    signer = record.tags.get(VersionTag.SIGNED_BY)
    console.print(f"Signed by {signer}; `mlp models verify` verifies it" if signer else "Not signed")
    if promoter := record.tags.get(VersionTag.PROMOTED_BY):
        console.print(f"Promoted by {promoter} at {record.tags.get(VersionTag.PROMOTED_AT, 'an unknown time')}")
    rows = f" on {evaluation['rows']} held-out rows" if "rows" in evaluation else ""
    _section(f"Metrics{rows}", metrics_table(evaluation))
    for why in evaluation.get("not_computed", {}).values():
        console.print(why)
    if evaluation.get("confusion"):
        _section("Confusion matrix: rows are actual, columns are predicted", _confusion(evaluation["confusion"]))
    if evaluation.get("residuals"):
        _section("Errors: predicted − actual", _residuals(evaluation["residuals"]))
    if evaluation.get("slices"):
        _section("Slices", _slices(evaluation["slices"]))
        if any(item.get("small") for item in evaluation["slices"]):
            console.print("* fewer than 30 rows: not reliable")
    if version.diagnostics is not None:
        overview(version.diagnostics)
    if card := version.card.rows():
        _section("Model card", pairs(card))
    contract = version.contract
    columns = {name: _role(contract, name) + describe_column(contract, name) for name in contract.columns}
    _section(f"Contract of {contract.name} ({contract.path})", pairs(columns))
    _section("Lineage", pairs(lineage.rows(version.origin)))


def difference_page(found: Differences) -> None:
    """Print the differences between two versions."""
    console = stdout()
    console.print(f"{found.one} compared with {found.other}", style="bold")
    metrics = table("metric", found.one, found.other, "difference", numeric=(found.one, found.other, "difference"))
    for name, (one, other) in found.metrics.items():
        change = f"{other - one:+.4f}" if one is not None and other is not None else "–"
        metrics.add_row(name, number(one), number(other), change)
    _section("Metrics", metrics)
    for title, items in (("Configuration", found.config), ("Columns", found.columns), ("Lineage", found.lineage)):
        if not items:
            console.print(f"\n{title}: the same")
            continue
        shown = table("", found.one, found.other)
        for name, (a, b) in items.items():
            shown.add_row(name, _value(a), _value(b))
        _section(title, shown)


def _section(title: str, content: "Table") -> None:
    console = stdout()
    console.print()
    console.print(title, style="bold")
    show(console, content)


def _value(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text[:12] if len(text) > 30 and all(sign in string.hexdigits for sign in text) else text


def _role(contract: Any, name: str) -> str:
    roles = {contract.target: "target; ", contract.id: "id; ", contract.time: "time; "}
    return roles.get(name, "")


def _confusion(confusion: dict[str, Any]) -> "Table":
    labels = confusion["labels"]
    shown = table("actual", *labels, numeric=labels)
    for label, counts in zip(labels, confusion["counts"], strict=True):
        shown.add_row(label, *(str(count) for count in counts))
    return shown


def _residuals(residuals: dict[str, Any]) -> "Table":
    names = {"0": "minimum", "0.5": "median", "1": "maximum"}
    values = {"mean": residuals["mean"], "standard deviation": residuals["standard_deviation"]}
    values |= {
        names.get(share, f"{float(share):.0%} are below"): value for share, value in residuals["quantiles"].items()
    }
    return pairs({name: number(value) for name, value in values.items()})


def _slices(slices: list[dict[str, Any]]) -> "Table":
    metrics = list(dict.fromkeys(name for item in slices for name in item["metrics"]))[:3]
    shown = table("column", "value", "rows", *metrics, numeric=("rows", *metrics))
    for item in slices:
        rows = f"{item['rows']}{'*' if item.get('small') else ' '}"
        shown.add_row(item["column"], item["value"], rows, *(number(item["metrics"].get(name)) for name in metrics))
    return shown
