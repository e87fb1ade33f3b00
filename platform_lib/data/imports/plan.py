"""Plan an import: the table and the contract that a file gives. Writes nothing; `staging` writes to disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.contract import Column, DataContract, Task
from platform_lib.data.dataset import contract_path, dataset_path, find_contract
from platform_lib.data.files.csv_layout import SEPARATORS
from platform_lib.data.files.formats import Reading
from platform_lib.data.files.reading import RawTable, column_names, read_raw
from platform_lib.data.imports import contract_diff, key_choice
from platform_lib.data.imports.column_facts import already_there, rows_text
from platform_lib.data.imports.columns import import_columns, read_rows, with_target
from platform_lib.data.imports.options import ImportRequest as ImportRequest
from platform_lib.data.imports.options import ReadingOptions, table_name
from platform_lib.data.imports.report import ColumnReport, ImportReport, build_report
from platform_lib.data.imports.target import checked_target
from platform_lib.data.imports.type_inference import InferredColumn, as_type, limits, type_of_arrow
from platform_lib.data.sensitive import chosen, hidden_column, marked, proposals, recognized
from platform_lib.errors import UsageError
from platform_lib.settings import Project


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportPlan:
    """What an import would write, complete before anything is written."""

    contract: DataContract
    table: pa.Table
    report: ImportReport
    existing: DataContract | None
    """The contract that exists under this name."""
    changes: list[str] = field(default_factory=list)
    """What changes in comparison with the existing table, as sentences."""


def plan_import(project: Project, request: ImportRequest) -> ImportPlan:
    """Read a file, infer its contract, and compare it with the existing table. Writes nothing.

    Raises:
        UsageError: The file, a name or an option does not fit.
        NotFound: The file, or the table to append to, does not exist.
    """
    name = table_name(request)
    existing = find_contract(project, name) if contract_path(project, name).is_file() else None
    if request.new_key and request.mode != "replace":
        raise UsageError("--new-key decides the hold-out of an existing table anew; use it together with --replace.")
    if request.mode == "append" and existing is None:
        raise UsageError(
            f"there is no table {name!r} to append to; import it first without --append, or name another with --name."
        )
    if existing is None and request.target is None:
        raise UsageError(f"--target is missing: name the column of {request.file.name} that is to be predicted.")
    if existing is not None and request.mode == "append":
        return _plan_append(project, request, existing)
    return _plan_whole(project, request, name, existing)


def _plan_whole(project: Project, request: ImportRequest, name: str, existing: DataContract | None) -> ImportPlan:
    """Plan a first import or `--replace`."""
    names = column_names(request.file)
    roles = _roles(request, existing, names)
    target = roles["target"]
    assert target is not None
    found = import_columns(request.file, target, request.options, roles={role for role in roles.values() if role})
    inferred = {column: found.inferred[column] for column in found.inferred if column not in found.left_out}
    empty = list(found.empty)
    signs = recognized({name: (column.column, column.values) for name, column in inferred.items()}, target)
    inferred = _hidden(inferred, chosen(request.privacy, signs, existing, names, target))
    task: Task = "regression" if project.task == "regression" else "classification"
    inferred[target] = checked_target(inferred[target], target, task, request.file)
    _check_roles(roles, inferred, empty)
    contract = DataContract(
        name=name,
        path=f"data/{name}.parquet",
        task=task,
        target=target,
        id=roles["id"],
        time=roles["time"],
        columns={column_name: column.column for column_name, column in inferred.items()},
    )
    if not contract.features:
        raise UsageError(
            f"{request.file} has no column to learn from other than target, id and time; add at least one."
        )
    table = pa.table({name: column.values for name, column in {**found.inferred, **inferred}.items()})
    choice = key_choice.choose_key(contract, inferred)
    contract = key_choice.with_key(contract, choice)
    changes: list[str] = []
    kept: list[str] = []
    warnings: list[str] = []
    if existing is not None:
        old, fresh = read_raw(dataset_path(project, existing)).table, contract
        changes = contract_diff.diff_contracts(existing, fresh, old_rows=old.num_rows, new_rows=table.num_rows)
        contract, kept = contract_diff.carried_over(
            existing, fresh, left_out=set(old.column_names) - set(existing.columns)
        )
        contract, key_notes, warnings = key_choice.carried_key(
            existing, fresh, contract, trained=request.trained, new_key=request.new_key
        )
        kept += [*key_notes, *key_choice.overtaken(old, table, contract)]
    decided = choice.notes if (contract.key, contract.repeats) == (choice.columns, choice.repeats) else []
    report = build_report(contract, inferred, found, decided=decided).extended(kept, warnings)
    report = report.extended(proposals(contract, signs, request.privacy), [])
    return ImportPlan(contract=contract, table=table, report=report, existing=existing, changes=changes)


def _hidden(inferred: Mapping[str, InferredColumn], sensitive: set[str]) -> dict[str, InferredColumn]:
    """The inferred columns, the sensitive ones without any of their values."""
    return {
        name: replace(column, column=hidden_column(column.column), notices=_without_quotes(column.notices))
        if name in sensitive
        else column
        for name, column in inferred.items()
    }


def _without_quotes(notices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(notice for notice in notices if "'" not in notice and '"' not in notice)


def _plan_append(project: Project, request: ImportRequest, existing: DataContract) -> ImportPlan:
    for role in ("target", "id", "time"):
        given, there = getattr(request, role), getattr(existing, role)
        if given is not None and given != there:
            raise UsageError(
                f"--{role} is {given!r}, but the table {existing.name!r} has {there or 'none'}; omit --{role}, or use "
                "--replace."
            )
    if request.options != ReadingOptions():
        raise UsageError(
            f"the contract of the table {existing.name!r} says how columns are read: omit --column, --missing, "
            f"--not-missing, --decimal and --dates, edit conf/data/{existing.name}.yaml, or use --replace."
        )
    existing = marked(existing, request.privacy)
    return plan_rows(project, existing, lambda readings: read_rows(request.file, readings), str(request.file))


def plan_rows(
    project: Project,
    existing: DataContract,
    read: Callable[[Mapping[str, Reading]], RawTable],
    source: str,
    *,
    may_repeat: bool = False,
) -> ImportPlan:
    """Plan to append rows to an existing table, by its contract.

    Args:
        project: That the table belongs to.
        existing: Contract of the table.
        read: Reads the rows, given how the contract reads each column.
        source: Where the rows come from, for errors.
        may_repeat: Append them although all are copies of rows of the table.
    Raises:
        UsageError: The rows lack a column or do not fit the contract's types.
        NotFound: The table is not there.
    """
    old_raw = read_raw(dataset_path(project, existing), existing.readings).table
    known = {
        n: existing.columns.get(n) or Column(type=type_of_arrow(old_raw.column(n).type)) for n in old_raw.column_names
    }
    typed = {name: Reading(column_type=column.type) for name, column in known.items()}
    raw = read({**typed, **existing.readings})
    names = raw.table.column_names
    if lacking := [n for n in existing.columns if n not in names]:
        raise UsageError(
            f"{source} lacks the column {lacking[0]!r} of the table {existing.name!r}; add it, or import all "
            "rows again with --replace."
        )
    if unknown := [n for n in names if n not in known]:
        raise UsageError(
            f"{source} has the column {unknown[0]!r}, which the table {existing.name!r} does not have; "
            "remove it, or import all rows again with --replace."
        )
    raw, without_target = with_target(raw, existing.target, source, must_vary=False)
    rows = raw.table.num_rows
    new = {
        n: as_type(raw.table.column(n), column, n)
        if n in names
        else pa.chunked_array([pa.nulls(rows, old_raw.column(n).type)])
        for n, column in known.items()
    }
    old = pa.table({n: as_type(old_raw.column(n), column, n) for n, column in known.items()})
    appended = pa.table({n: values.cast(old.column(n).type) for n, values in new.items()})
    seen = {
        n: limits(new[n], column.type, int(pc.count_distinct(new[n]).as_py()), is_label=column.allowed is not None)
        for n, column in existing.columns.items()
    }
    seen = {n: hidden_column(column) if existing.columns[n].sensitive else column for n, column in seen.items()}
    contract, widened = contract_diff.extended(existing, seen)
    contract = msgspec.structs.replace(contract, path=f"data/{existing.name}.parquet")
    table = pa.concat_tables([old, appended])
    _check_appended_target(table, contract, source)
    notes = [*raw.notes, *([f"{rows_text(without_target)} without a target dropped."] if without_target else [])]
    if already := already_there(table, old.num_rows, contract.repeats):
        if already == rows and not may_repeat:
            raise UsageError(
                f"all {rows_text(rows)} of {source} are already in the table {existing.name!r}; there is nothing "
                "to append."
            )
        notes.append(f"Exact copies of existing rows: {already} of the {rows} new ones; appended anyway.")
    columns = tuple(
        ColumnReport(
            name=n,
            role=contract_diff.role_of(contract, n),
            type=column.type,
            missing=table.column(n).null_count,
            values=contract_diff.limits_text(column),
            reason="as in the contract",
        )
        for n, column in contract.columns.items()
    )
    report = ImportReport(rows=table.num_rows, columns=columns, notes=(*notes, *widened), warnings=())
    found = [f"rows: {old.num_rows} → {table.num_rows} ({rows} appended)", *widened]
    return ImportPlan(contract=contract, table=table, report=report, existing=existing, changes=found)


def _roles(request: ImportRequest, existing: DataContract | None, names: list[str]) -> dict[str, str | None]:
    roles: dict[str, str | None] = {}
    for role in ("target", "id", "time"):
        given = getattr(request, role)
        before = getattr(existing, role) if existing is not None else None
        name = given or before
        # A role whose column the file no longer has is dropped, unless it was given or is the target.
        roles[role] = None if given is None and role != "target" and name not in names else name
        if roles[role] is not None and name not in names:
            close = get_close_matches(str(name), names, n=1, cutoff=0.6) or [
                n for n in names if n.lower() == str(name).lower()
            ]
            hint = f" Did you mean {close[0]!r}?" if close else _hint(names)
            raise UsageError(
                f"--{role} names the column {name!r}, which {request.file} does not have; it has "
                f"{', '.join(names)}.{hint}"
            )
    used = [name for name in roles.values() if name is not None]
    if len(set(used)) < len(used):
        twice = next(name for name in used if used.count(name) > 1)
        raise UsageError(
            f"the column {twice!r} is given for more than one of --target, --id and --time; name a different column "
            "for each."
        )
    return roles


def _hint(names: list[str]) -> str:
    if len(names) == 1:
        known = ", ".join(SEPARATORS.values())
        return f" If that is a row of several columns: they can be separated by {known}; save the table in that way."
    if "Unnamed: 1" in names:
        return " If the table begins below a title, remove the lines above its header."
    return ""


def _check_roles(roles: dict[str, str | None], inferred: dict[str, InferredColumn], empty: list[str]) -> None:
    for role in ("id", "time"):
        name = roles[role]
        if name in empty:
            raise UsageError(f"--{role} names the column {name!r}, which has no value in any row; choose another.")
        if name is None:
            continue
        column = inferred[name]
        if role == "id" and column.missing:
            raise UsageError(
                f"the id column {name!r} has no value in {rows_text(column.missing)}; fill it in, remove the rows, or "
                "choose another with --id."
            )
        if role == "time" and column.column.type != "datetime":
            example = column.values.drop_null()[0].as_py()
            raise UsageError(
                f"the time column {name!r} is of type {column.column.type}, such as {example!r:.60}, "
                "expected ISO 8601 dates or times such as 2026-01-31 or 2026-01-31T12:00:00."
            )


def _check_appended_target(table: pa.Table, contract: DataContract, source: str) -> None:
    values = table.column(contract.target)
    distinct = int(pc.count_distinct(values).as_py())
    whole = InferredColumn(
        column=contract.columns[contract.target], values=values, missing=0, distinct=distinct, reason=""
    )
    checked_target(whole, contract.target, contract.task, source)
