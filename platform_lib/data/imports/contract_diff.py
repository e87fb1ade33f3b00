"""Compare the contracts of two imports of a table, and keep the edits that people made."""

from collections.abc import Mapping
from typing import Any

import msgspec

from platform_lib.data.contract import MAX_CATEGORIES, Column, DataContract
from platform_lib.data.files.formats import PLAIN


def diff_contracts(old: DataContract, new: DataContract, *, old_rows: int, new_rows: int) -> list[str]:
    """Describe what differs between the existing table and the new one, one sentence per change; limits as in the
    data."""
    found = [f"rows: {old_rows} → {new_rows}" if old_rows != new_rows else f"rows: {old_rows} in both"]
    for role in ("target", "id", "time", "task"):
        before, after = getattr(old, role), getattr(new, role)
        if before != after:
            found.append(f"{role}: {before or 'none'} → {after or 'none'}")
    found += [
        f"column added: {name} ({column.type})" for name, column in new.columns.items() if name not in old.columns
    ]
    found += [
        f"column removed: {name} ({column.type})" for name, column in old.columns.items() if name not in new.columns
    ]
    for name, column in new.columns.items():
        if name in old.columns:
            found += [f"{name}: {change}" for change in _changes(old.columns[name], column)]
    return found


def _changes(old: Column, new: Column) -> list[str]:
    if old.type != new.type:
        return [f"type {old.type} → {new.type}"]
    found = []
    if old.nullable != new.nullable:
        found.append("has missing values now" if new.nullable else "has no missing values now")
    if old.allowed is not None and new.allowed is not None:
        appeared = [value for value in new.allowed if value not in old.allowed]
        gone = [value for value in old.allowed if value not in new.allowed]
        found += [f"new values {_listed(appeared)}"] * bool(appeared) + [
            f"values no longer there {_listed(gone)}"
        ] * bool(gone)
    elif (old.allowed is None) != (new.allowed is None):
        found.append(
            "too many different values to list now"
            if new.allowed is None
            else "few enough different values to list now"
        )
    if (old.min, old.max) != (new.min, new.max):
        found.append(f"range {_range(old)} → {_range(new)}")
    return found


def _range(column: Column) -> str:
    return "none" if column.min is None and column.max is None else f"{number(column.min)} … {number(column.max)}"


def number(value: float | None) -> str:
    """A limit as text."""
    if value is None:
        return "any"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:g}"


def _listed(values: list[Any]) -> str:
    return ", ".join(str(value) for value in values[:10]) + (
        f" and {len(values) - 10} more" if len(values) > 10 else ""
    )


def carried_over(old: DataContract, new: DataContract, *, left_out: set[str]) -> tuple[DataContract, list[str]]:
    """The contract after `--replace`: the new table's columns, with the edits to those that still exist.

    Args:
        old: From conf/data, edits included.
        new: As inferred from the new table.
        left_out: Columns of the old table that people removed from its contract.
    Returns:
        The contract, with the key of `new`, and sentences on what was kept of the old one.
    """
    notes: list[str] = []
    columns: dict[str, Column] = {}
    for name, column in new.columns.items():
        if name in left_out and name not in (new.target, new.id, new.time):
            notes.append(f"{name} stays out of the contract, because it was removed before.")
            continue
        columns[name] = _replaced(old.columns[name], column) if name in old.columns else column
        if name == new.target:
            columns[name] = msgspec.structs.replace(columns[name], nullable=False)
        if columns[name] != column:
            notes.append(f"{name} keeps from the contract: {_edits(columns[name], column)}.")
    return msgspec.structs.replace(new, columns=columns), notes


def extended(old: DataContract, seen: Mapping[str, Column]) -> tuple[DataContract, list[str]]:
    """The contract after `--append`: key and types unchanged, limits widened where the new rows need it.

    Args:
        old: From conf/data, edits included.
        seen: Entries inferred from the appended rows alone, per column; with every text listed if the old entry has a
            list.
    """
    columns = {name: _kept(column, seen[name]) if name in seen else column for name, column in old.columns.items()}
    for name, column in columns.items():
        before = old.columns[name].allowed
        if (
            column.allowed is not None
            and before is not None
            and name != old.target
            and len(column.allowed) > max(MAX_CATEGORIES, len(before))
        ):
            columns[name] = msgspec.structs.replace(column, allowed=None)
    notes = [f"{name}: {change}." for name in columns for change in _changes(old.columns[name], columns[name])]
    return msgspec.structs.replace(old, columns=columns), notes


def _replaced(old: Column, new: Column) -> Column:
    """As `_kept`, read from CSV as the new file is written, with the markers of both."""
    before, csv = old.csv or PLAIN, new.csv or PLAIN
    csv = msgspec.structs.replace(
        csv,
        missing=tuple(dict.fromkeys((*before.missing, *csv.missing))),
        not_missing=tuple(dict.fromkeys((*before.not_missing, *csv.not_missing))),
    )
    return msgspec.structs.replace(_kept(old, new), csv=None if csv == PLAIN else csv)


def _kept(old: Column, new: Column) -> Column:
    """The new entry with edits of the old one: wider or removed limits, missing values allowed, no logging.

    Whether it is sensitive was decided before, and a column that becomes so loses its limits.
    """
    if old.type != new.type or old.sensitive != new.sensitive:
        return msgspec.structs.replace(new, log=old.log if old.sensitive == new.sensitive else new.log)
    allowed = None
    if old.allowed is not None:
        known = [*old.allowed, *(value for value in new.allowed or [] if value not in old.allowed)]
        allowed = known if new.allowed is not None else None
        if allowed is not None and allowed != old.allowed:
            allowed = sorted(known, key=lambda value: (str(type(value)), value))
    return Column(
        type=old.type,
        nullable=old.nullable or new.nullable,
        min=None if old.min is None or new.min is None else min(old.min, new.min),
        max=None if old.max is None or new.max is None else max(old.max, new.max),
        allowed=allowed,
        log=old.log,
        csv=old.csv,
        sensitive=old.sensitive,
    )


def _edits(kept: Column, inferred: Column) -> str:
    parts = []
    if kept.log != inferred.log:
        parts.append("log: false")
    if kept.nullable != inferred.nullable:
        parts.append("nullable")
    if (kept.min, kept.max) != (inferred.min, inferred.max):
        parts.append(f"range {_range(kept)}")
    if kept.csv != inferred.csv:
        parts.append("how CSV writes it")
    if kept.allowed != inferred.allowed:
        parts.append("no list of allowed values" if kept.allowed is None else f"allowed values {_listed(kept.allowed)}")
    return ", ".join(parts)


def role_of(contract: DataContract, name: str) -> str:
    """`target`, `id`, `time` or `feature`."""
    return next((role for role in ("target", "id", "time") if getattr(contract, role) == name), "feature")


def limits_text(column: Column) -> str:
    """Range or categories of a contract entry, on one line."""
    if column.allowed is not None:
        return _listed(column.allowed)
    return "" if column.min is None and column.max is None else _range(column)
