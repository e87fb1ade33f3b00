"""Report on an import: each column's type and why, notes, and warnings about identifiers and leaks."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from platform_lib.data.contract import DataContract
from platform_lib.data.imports.column_facts import is_named_as_id, rows_text
from platform_lib.data.imports.columns import ImportedColumns
from platform_lib.data.imports.contract_diff import limits_text, role_of
from platform_lib.data.imports.groups import group_warnings
from platform_lib.data.imports.leaks import leaks
from platform_lib.data.imports.notices import is_free_text, looks_like_dates
from platform_lib.data.imports.type_inference import InferredColumn
from platform_lib.names import PREDICTION_COLUMN, PROBABILITY_PREFIX

_MIN_ROWS_FOR_ID = 20
_NEARLY_ALL = 0.99


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReport:
    """One column of an import."""

    name: str
    role: str
    """`feature`, `target`, `id` or `time`."""
    type: str
    missing: int
    values: str
    """Range or categories, as in the contract."""
    reason: str
    """Why the column has this type, and notices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What an import inferred, noted and warns about."""

    rows: int
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def extended(self, notes: list[str], warnings: list[str]) -> "ImportReport":
        """The same with more notes and warnings."""
        return replace(self, notes=(*self.notes, *notes), warnings=(*self.warnings, *warnings))


def build_report(
    contract: DataContract, inferred: Mapping[str, InferredColumn], found: ImportedColumns, *, decided: list[str]
) -> ImportReport:
    """Build the report on a whole table.

    Args:
        contract: As inferred.
        inferred: Per column of the contract.
        found: What was found in the file.
        decided: What was decided about the hold-out, as sentences.
    """
    raw = found.raw
    rows = raw.table.num_rows
    notes = list(raw.notes)
    if found.without_target:
        notes.append(f"{rows_text(found.without_target)} without a target dropped.")
    if found.empty:
        notes.append(f"{', '.join(found.empty)}: dropped, since no row has a value.")
    notes += [f"{name}: {reason}." for name, reason in found.left_out.items()]
    columns = []
    for name, column in inferred.items():
        parts = [column.reason, *column.notices]
        if markers := [marker for marker in raw.markers.get(name, ()) if marker]:
            parts.insert(1, f"missing is written {', '.join(repr(marker) for marker in markers)}")
        columns.append(
            ColumnReport(
                name=name,
                role=role_of(contract, name),
                type=column.column.type,
                missing=column.missing,
                values=_values_text(column),
                reason="; ".join(parts),
            )
        )
    notes += decided
    if contract.id and (repeated := rows - inferred[contract.id].distinct):
        notes.append(
            f"{rows_text(repeated)} with an id in {contract.id!r} that an earlier row has; rows with the same id fall "
            "on the same side of the split."
        )
    taken = [name for name in contract.columns if name == PREDICTION_COLUMN or name.startswith(PROBABILITY_PREFIX)]
    warnings = [
        *(
            f"{name!r} is the name of a column that `mlp predict` writes, so it refuses files with this one; rename it."
            for name in taken
        ),
        *found.warnings,
        *_identifiers(contract, inferred, rows),
        *leaks(contract, inferred),
        *group_warnings(contract, inferred),
    ]
    return ImportReport(rows=rows, columns=tuple(columns), notes=tuple(notes), warnings=tuple(warnings))


def _values_text(column: InferredColumn) -> str:
    if column.column.sensitive:
        return f"{column.distinct} different values"
    if column.column.type == "datetime":
        span = pc.min_max(column.values).as_py()
        return f"{span['min']} … {span['max']}"
    if column.column.type == "string" and column.column.allowed is None:
        return f"{column.distinct} different texts"
    return limits_text(column.column)


def _identifiers(contract: DataContract, inferred: Mapping[str, InferredColumn], rows: int) -> list[str]:
    found = []
    for name in contract.features:
        column = inferred[name]
        is_text = column.column.type == "string"
        if column.distinct < _NEARLY_ALL * (rows - column.missing) or not (is_text or column.column.type == "integer"):
            continue
        if is_text and (looks_like_dates(column.values) or is_free_text(column.values)):
            continue
        named = is_named_as_id(name)
        all_differ = column.distinct == rows
        if (named and all_differ) or (is_text and rows >= _MIN_ROWS_FOR_ID):
            remedy = (
                f'import again with --id "{name}" --replace, or leave it out with'
                if all_differ
                else "import again with --replace and"
            )
            found.append(
                f"{name!r} looks like an identifier: {'all' if all_differ else column.distinct} "
                f"{rows if all_differ else f'of {rows}'} values differ. It is a feature now; if it only names "
                f"the rows, {remedy} --column {shlex.quote(name + ':ignore')}."
            )
    return found
