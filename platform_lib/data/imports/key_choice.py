"""Choose the columns that decide on a row's side of the hold-out, and whether equal rows are copies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_lib.data.contract import Column, DataContract, Repeats
from platform_lib.data.imports.column_facts import codes_of, hashes_of, is_named_as_id, rows_text
from platform_lib.data.imports.columns import is_row_number
from platform_lib.data.imports.type_inference import InferredColumn
from platform_lib.data.splits import key_columns, numbered, row_hashes

_NEARLY_ALL = 0.99
_DISAGREEMENT = 0.1
"""Share of what two random rows would show: copies have the same target, whereas separate observations differ in it."""
_BY_CHANCE = 0.25
"""Share of the equal pairs of rows that independent columns explain, from which a table counts as coarse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyChoice:
    """What decides on which side of the split a row falls."""

    columns: list[str]
    repeats: Repeats
    notes: list[str] = field(default_factory=list)
    """What was decided and why, as sentences."""


def choose_key(contract: DataContract, inferred: Mapping[str, InferredColumn]) -> KeyChoice:
    """Choose the key of a new table: the id, or else the features, never the target.

    Columns that only number or name the rows are left out of the key where the rest shows that rows are copies: each
    copy has another number, so the copies would fall on both sides.

    Args:
        contract: Roles and types of the columns.
        inferred: Per column of the contract, its n values.
    """
    rows = len(inferred[contract.target].values)
    if contract.id:
        copies = 0 if _all_differ(inferred, rows) else rows - _distinct(_table(inferred, list(inferred)))
        return KeyChoice(columns=[contract.id], repeats="together", notes=_copies_note(copies))
    features = list(contract.features)
    naming = [name for name in features if _names_the_rows(name, inferred[name])]
    rest = [name for name in features if name not in naming]
    if naming and rest:
        choice = _judged(contract.target, inferred, rest, contract.name)
        if choice.repeats == "together" and choice.notes:
            listed = ", ".join(naming)
            note = f"{listed}: left out of the key, because each copy has another value there."
            return KeyChoice(columns=rest, repeats="together", notes=[*choice.notes, note])
    return _judged(contract.target, inferred, features, contract.name)


def _names_the_rows(name: str, column: InferredColumn) -> bool:
    """Whether nearly all values differ, and the name or the type says that they only number or name the rows."""
    if column.distinct < _NEARLY_ALL * len(column.values):
        return False
    if column.column.type == "string":
        return True
    return column.column.type == "integer" and (is_named_as_id(name) or is_row_number(column.values))


def with_key(contract: DataContract, choice: KeyChoice) -> DataContract:
    """The contract with a chosen key."""
    return msgspec.structs.replace(contract, key=choice.columns, repeats=choice.repeats)


def _judged(target: str, inferred: Mapping[str, InferredColumn], features: list[str], name: str) -> KeyChoice:
    """Decide whether rows with equal features are copies of each other or separate observations."""
    labels = codes_of(inferred[target].values)
    rows = len(labels)
    if _all_differ({feature: inferred[feature] for feature in features}, rows):
        return KeyChoice(columns=features, repeats="together")
    hashes = hashes_of(_table(inferred, features))
    order = np.argsort(hashes, kind="stable")
    equal = hashes[order][1:] == hashes[order][:-1]
    repeated = int(equal.sum())
    if not repeated:
        return KeyChoice(columns=features, repeats="together")
    differ = float((labels[order][1:] != labels[order][:-1])[equal].mean())
    by_chance = 1.0 - float(np.square(np.bincount(labels + 1) / rows).sum())
    about = f"{rows_text(repeated)} of {rows} repeat{'s' if repeated == 1 else ''} the features of an earlier row"
    if differ >= _DISAGREEMENT * by_chance and by_chance > 0:
        why = f"the target differs from that row's in {differ:.0%} of them"
    elif _explained(inferred, features, hashes):
        why = "so few different values make that likely by chance"
    else:
        copies = rows - _distinct(_table(inferred, [*features, target]))
        others = repeated - copies
        more = [f"{rows_text(others)} with the features of an earlier row and another target: on the same side, too."]
        return KeyChoice(columns=features, repeats="together", notes=_copies_note(copies) + more * bool(others))
    return KeyChoice(
        columns=features,
        repeats="separate",
        notes=[
            f"{about}, and {why}: taken as separate observations, each held out or not on its own (repeats: separate). "
            f"If they are copies of each other, set `repeats: together` in conf/data/{name}.yaml before the first "
            "training."
        ],
    )


def _explained(inferred: Mapping[str, InferredColumn], features: list[str], hashes: NDArray[np.uint64]) -> bool:
    """Whether independent columns would give a good part of the equal pairs of rows.

    The chance is that of two different rows, each counted once, to agree in every column: copies do not raise it.
    """
    _, places, sizes = np.unique(hashes, return_index=True, return_counts=True)
    if len(places) < 2:
        return True
    pairs = float((sizes * (sizes - 1.0)).sum()) / 2
    expected = len(hashes) * (len(hashes) - 1.0) / 2
    for feature in features:
        counts = np.bincount(codes_of(inferred[feature].values)[places] + 1)
        expected *= float((counts * (counts - 1.0)).sum()) / (len(places) * (len(places) - 1.0))
    return expected >= _BY_CHANCE * pairs


def carried_key(
    old: DataContract, inferred: DataContract, new: DataContract, *, trained: str | None, new_key: bool
) -> tuple[DataContract, list[str], list[str]]:
    """The contract after `--replace`, with the old key unless another id or target makes it wrong.

    Args:
        old: From conf/data.
        inferred: From the new table alone, with the key that was chosen for it.
        new: The contract to be written, with the edits to the old one.
        trained: The versions that were trained with the old key, as text; None if there are none.
        new_key: Take the chosen key whatever was trained with the old one.
    Returns:
        The contract with its key, notes and warnings.
    """
    chosen = [name for name in inferred.key if name in new.columns]
    kept = [name for name in old.key if name in new.columns]
    listed = ", ".join(chosen)
    same = (sorted(kept), old.repeats) == (sorted(chosen), inferred.repeats)
    outdated = not same and (new.id != old.id or new.target in kept)
    fresh = msgspec.structs.replace(new, key=chosen, repeats=inferred.repeats)
    unchanged = msgspec.structs.replace(new, key=kept, repeats=old.repeats)
    if not kept:
        note = (
            f"None of the key's columns is left: the hold-out is decided by {listed} from now on, so rows change sides."
        )
        return fresh, [note], []
    if (new_key and not same) or (outdated and trained is None):
        if trained is None:
            note = f"The hold-out is decided by {listed} from now on; no model was trained on this table yet."
            return fresh, [note], []
        return fresh, [], [f"The hold-out is decided by {listed} from now on: {_cost(trained)}"]
    if outdated:
        wrong = " It contains the target, so scores of rows with equal features are wrong." * (new.target in kept)
        warning = (
            f"The hold-out is still decided by {', '.join(kept)}, because {trained} was trained with that key.{wrong} "
            f"To decide it by {listed}, import again with --replace --new-key: {_cost(str(trained))}"
        )
        return unchanged, _moving(old, new, kept), [warning]
    notes = _moving(old, new, kept)
    if not (same or notes):
        notes = ["The key stays as it was, so that no row changes its side of the hold-out."]
    return unchanged, notes, []


def _moving(old: DataContract, new: DataContract, kept: list[str]) -> list[str]:
    """Why rows change sides although the key is kept, if they do."""
    if lost := [name for name in old.key if name not in new.columns]:
        return [f"The key loses {', '.join(lost)}: rows change sides of the hold-out."]
    if retyped := [name for name in kept if _hashed_as(old.columns[name]) != _hashed_as(new.columns[name])]:
        return [f"The type of {', '.join(retyped)} in the key changes: rows change sides of the hold-out."]
    return []


def overtaken(old: pa.Table, new: pa.Table, contract: DataContract) -> list[str]:
    """A note if rows with equal features have another order than before, as their number decides on their side.

    Args:
        old: The existing table.
        new: The table that replaces it.
        contract: To be written; nothing is compared unless it says `repeats: separate`.
    """
    names = [*key_columns(contract), contract.target]
    if contract.repeats != "separate" or not set(names) <= set(old.column_names):
        return []
    (places, targets), (new_places, new_targets) = (_places(table, contract, names) for table in (old, new))
    _, before, after = np.intersect1d(places, new_places, assume_unique=True, return_indices=True)
    differ = int((targets[before] != new_targets[after]).sum())
    if not differ:
        return []
    return [
        f"{rows_text(differ)} with repeated features {'has' if differ == 1 else 'have'} another target than the row in "
        "that place had before. Rows with equal features are numbered in the table's order, and the number decides on "
        "the side: if the rows only changed their order, keep the old order and add new rows at the end."
    ]


def _places(table: pa.Table, contract: DataContract, names: list[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Per row, the hash that decides on its side, and the hash of its target."""
    frame = table.select(names).to_pandas()
    key, target = (
        row_hashes(((frame[name], contract.columns[name]) for name in some), len(frame), "")
        for some in (names[:-1], names[-1:])
    )
    return numbered(key), target


def _cost(trained: str) -> str:
    return (
        f"rows change sides, so {trained} was fitted on some of the rows that are held out then. The gate compares the "
        "next model with it on the rows that both hold out, so on fewer."
    )


def _hashed_as(column: Column) -> str:
    return column.type if column.type in ("string", "datetime") else "number"


def _copies_note(copies: int) -> list[str]:
    return [f"Exact copies of other rows: {copies}; kept, on the same side of the split as the rows they copy."] * bool(
        copies
    )


def _all_differ(inferred: Mapping[str, InferredColumn], rows: int) -> bool:
    return any(column.distinct == rows for column in inferred.values())


def _distinct(table: pa.Table) -> int:
    return len(np.unique(hashes_of(table)))


def _table(inferred: Mapping[str, InferredColumn], names: list[str]) -> pa.Table:
    return pa.table({name: inferred[name].values for name in names})
