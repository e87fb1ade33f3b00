"""Inspect a registered version, and compare two versions. Read-only."""

from dataclasses import dataclass
from typing import Any

import yaml

from platform_lib import lineage
from platform_lib.data.contract import DataContract, read_contract
from platform_lib.lineage import Lineage
from platform_lib.model.card import ModelCard, card_of
from platform_lib.names import ArtifactFile
from platform_lib.registry.reference import VersionRecord
from platform_lib.registry.versions import Registry
from platform_lib.training.diagnostics.store import load_diagnostics
from platform_lib.training.diagnostics.tables import Diagnostics
from platform_lib.training.tracking import read_evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """One version, with the content of its files and its run."""

    record: VersionRecord
    contract: DataContract
    config: dict[str, Any]
    """The resolved configuration it was trained with."""
    evaluation: dict[str, Any]
    """As `training.evaluation.Evaluation`; only metrics if the run has no such file."""
    origin: Lineage
    diagnostics: Diagnostics | None
    """Of the run; None if it has none."""
    card: ModelCard
    """As it was when the version was registered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """What differs between two versions: name → (value of the one, value of the other); None for no value."""

    one: str
    other: str
    metrics: dict[str, tuple[float | None, float | None]]
    """All metrics, including equal ones."""
    config: dict[str, tuple[Any, Any]]
    columns: dict[str, tuple[str | None, str | None]]
    lineage: dict[str, tuple[str, str]]


def inspect_version(registry: Registry, record: VersionRecord) -> Inspected:
    """Read a version's files and its run.

    Raises:
        UsageError: The contract or the model card cannot be read: this library did not register the version.
        ServiceError: The files cannot be downloaded.
    """
    folder = registry.folder(record)
    contract = read_contract(folder / ArtifactFile.CONTRACT)
    try:
        config = yaml.safe_load((folder / ArtifactFile.CONFIG).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError):
        config = {}
    evaluation = read_evaluation(registry, record.run_id) or {"metrics": record.metrics}
    origin = lineage.from_tags(record.tags, registry.run_tags(record))
    return Inspected(
        record=record,
        contract=contract,
        config=config,
        evaluation=evaluation,
        origin=origin,
        diagnostics=load_diagnostics(registry, record.run_id),
        card=card_of(folder),
    )


def differences(one: Inspected, other: Inspected) -> Differences:
    """Compare two versions."""
    metrics = {
        name: (one.record.metrics.get(name), other.record.metrics.get(name))
        for name in dict.fromkeys([*one.record.metrics, *other.record.metrics])
    }
    return Differences(
        one=f"{one.record.name}/{one.record.version}",
        other=f"{other.record.name}/{other.record.version}",
        metrics=metrics,
        config=_unequal(flat_settings(one.config), flat_settings(other.config)),
        columns=_unequal(_columns(one.contract), _columns(other.contract)),
        lineage=lineage.compare(one.origin, other.origin),
    )


def _unequal(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*one, *other])
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}


def flat_settings(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flat settings, without the search space, and without the columns, which are compared separately."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        full = f"{prefix}{name}"
        if full in ("search", "data.columns", "data.key"):
            continue
        flat |= flat_settings(value, f"{full}.") if isinstance(value, dict) else {full: value}
    return flat


def _columns(contract: DataContract) -> dict[str, str]:
    return {name: describe_column(contract, name) for name in contract.columns}


def describe_column(contract: DataContract, name: str) -> str:
    """Describe a column of the contract in a few words: type, missing values, range or values."""
    column = contract.columns[name]
    words: list[str] = [column.type]
    if column.nullable:
        words.append("may be missing")
    if column.sensitive:
        return "; ".join([*words, "sensitive"])
    if column.min is not None or column.max is not None:
        words.append(f"{_bound(column.min)} to {_bound(column.max)}")
    if column.allowed:
        shown = ", ".join(map(str, column.allowed[:8]))
        words.append(shown + (f" and {len(column.allowed) - 8} more" if len(column.allowed) > 8 else ""))
    if not column.log:
        words.append("not logged")
    return "; ".join(words)


def _bound(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"
