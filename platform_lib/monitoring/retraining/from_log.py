"""Turn logged rows with labels into rows of the project's table: what `mlp data from-log` appends.

The split needs no help: a row's key decides its side, so a row with the key of a held-out one is held out too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.data.dataset import dataset_path
from platform_lib.data.files.cleaning import clean_parquet_column
from platform_lib.data.files.formats import Reading
from platform_lib.data.files.reading import RawTable, read_raw
from platform_lib.data.imports.plan import ImportPlan, plan_rows
from platform_lib.data.logged_rows import COLUMNS, LOG_FILE, MODEL_VERSION, REQUEST
from platform_lib.errors import NotFound, UsageError
from platform_lib.model.artifact import category_text
from platform_lib.monitoring.config import MonitorConfig
from platform_lib.monitoring.live_score import as_class
from platform_lib.monitoring.logged import as_numbers, join_labels
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder, logged_name
from platform_lib.settings import Project

_JOIN = ("request_id", "row")
_FILE = "file of the row"


@dataclass(frozen=True, kw_only=True, slots=True)
class FromLog:
    """What would be appended, and what became of the other logged rows."""

    plan: ImportPlan | None
    """None if there is nothing to append."""
    added: int
    """Rows to append."""
    present: int
    """Labelled rows that the table has already."""
    unlabelled: int
    """Rows without a label."""
    unusable: int
    """Labels that are no number, or no class of the contract."""
    incomplete: int
    """Rows that lack a value which the contract requires, or that the file of further columns does not have."""
    left_out: int
    """Rows that `log_weights` leaves out."""
    files: tuple[str, ...] = ()
    """Files of the request log that the appended rows come from, sorted."""


def plan_from_log(
    project: Project,
    contract: DataContract,
    folder: LogFolder,
    config: MonitorConfig,
    *,
    since: datetime,
    further: Path | None = None,
) -> FromLog:
    """Plan to append the labelled rows of the request log to a table. Writes nothing; `staging.write_import` does.

    Args:
        project: Names the model, whose rows are taken, of all versions.
        contract: Of the table.
        folder: The request log.
        config: Has the weights of logged rows.
        since: Earlier predictions are left out, UTC.
        further: CSV or Parquet file with request_id, row (where requests had several) and the columns that the log does
            not have: the id, and private ones.
    Raises:
        NotFound: The table is not there, or nothing is logged since then.
        UsageError: The log and `further` lack a column of the table, or a value does not fit the contract.
    """
    logged = _latest(folder.read(PREDICTIONS, since=since, file_column=_FILE), project.name)
    labels = join_labels(folder, logged, since=since, known=logged)
    rows = logged.take(pa.array(labels.rows))
    truth, usable = _usable(labels.truth.tolist(), contract)
    present = np.isin(_requests(rows), _known_requests(dataset_path(project, contract)))
    weighted = _is_taken(_requests(rows), rows["prediction"].to_pylist(), config)
    table, complete = _columns(rows, truth, contract, further)
    keep = usable & ~present & weighted & complete
    found = FromLog(
        plan=None,
        added=int(keep.sum()),
        present=int(present.sum()),
        unlabelled=len(logged) - len(rows),
        unusable=int((~usable).sum()),
        incomplete=int((usable & ~present & weighted & ~complete).sum()),
        left_out=int((usable & ~present & ~weighted).sum()),
    )
    if not found.added:
        return found
    origin = rows.filter(pa.array(keep))
    raw = RawTable(table=table.filter(pa.array(keep)), notes=(), markers={})
    plan = plan_rows(project, contract, lambda readings: raw, "the request log", may_repeat=True)
    columns = {REQUEST: _requests(origin), LOG_FILE: origin[_FILE], MODEL_VERSION: origin["version"]}
    whole = _with_origin(plan.table, found.added, columns)
    files = tuple(sorted(pc.unique(origin[_FILE]).to_pylist()))
    return replace(found, plan=replace(plan, table=whole), files=files)


def _latest(logged: pa.Table, model: str) -> pa.Table:
    """The rows of a model; of several with one request id and position, the latest."""
    own = logged.filter(pc.equal(logged["model"], model))
    if not len(own):
        raise NotFound(
            f"the request log has no rows of {model!r} in this period: look further back with --since, or name another "
            "log with --log."
        )
    own = own.append_column("order", pa.array(np.arange(len(own))))
    last = own.group_by(list(_JOIN)).aggregate([("order", "max")])["order_max"]
    return own.take(last.sort())


def _requests(rows: pa.Table) -> NDArray[np.object_]:
    ids = pc.binary_join_element_wise(rows["request_id"], rows["row"].cast(pa.string()), "/")
    return np.asarray(ids.to_pylist(), dtype=object)


def _known_requests(table: Path) -> NDArray[np.object_]:
    import pyarrow.parquet as parquet

    if table.suffix != ".parquet" or REQUEST not in parquet.read_schema(table).names:
        return np.empty(0, dtype=object)
    return np.asarray(parquet.read_table(table, columns=[REQUEST])[REQUEST].drop_null().to_pylist(), dtype=object)


def _usable(labels: Sequence[str], contract: DataContract) -> tuple[list[str], NDArray[np.bool_]]:
    """The labels as the contract writes them, and which of the n fit it."""
    column = contract.columns[contract.target]
    if contract.task == "regression":
        numbers, finite = as_numbers(labels)
        return list(labels), finite & ((numbers == np.round(numbers)) | (column.type != "integer"))
    allowed = [False, True] if column.type == "boolean" else column.allowed or []
    known = {category_text(value) for value in allowed}
    texts = [as_class(label, known) for label in labels]
    return texts, np.array([text in known for text in texts], dtype=bool)


def _is_taken(requests: NDArray[np.object_], predictions: Sequence[object], config: MonitorConfig) -> NDArray[np.bool_]:
    """Which rows count, by the weight of their prediction; the same rows in each run, whatever other rows there are."""
    if not config.log_weights:
        return np.ones(len(requests), dtype=bool)
    return np.array(
        [
            _share(str(request)) < config.weight_of(category_text(prediction))
            for request, prediction in zip(requests, predictions, strict=True)
        ],
        dtype=bool,
    )


def _share(request: str) -> float:
    """An evenly distributed number in [0, 1) that depends on the request alone."""
    return int.from_bytes(hashlib.blake2b(request.encode(), digest_size=6).digest(), "big") / 2**48


def _columns(
    rows: pa.Table, truth: list[str], contract: DataContract, further: Path | None
) -> tuple[pa.Table, NDArray[np.bool_]]:
    """The columns of the contract for n logged rows, and which rows have all values that it requires."""
    joined, matched = _further(rows, further, contract)
    made: dict[str, pa.ChunkedArray] = {}
    lacking = []
    for name in contract.columns:
        if name == contract.target:
            made[name] = pa.chunked_array([pa.array(truth, pa.string())])
        elif name in joined.column_names:
            made[name] = joined[name]
        elif name in contract.features and logged_name(name) in rows.column_names:
            made[name] = rows[logged_name(name)]
        elif name == contract.time:
            made[name] = rows["time"]
        else:
            lacking.append(name)
    if lacking:
        several = len(lacking) > 1
        raise UsageError(
            f"the request log does not have the column{'s' if several else ''} {', '.join(lacking)}, which the table "
            f"{contract.name!r} has: give {'them' if several else 'it'} in a file with --with, beside request_id and, "
            "for requests of several rows, row."
        )
    complete = matched
    source = Path("the request log")
    for name, values in made.items():
        column = contract.columns[name]
        made[name] = clean_parquet_column(values, name=name, path=source, column_type=column.type).values
        if not column.nullable:
            complete = complete & pc.is_valid(made[name]).to_numpy()
    return pa.table(made), complete


def _further(rows: pa.Table, file: Path | None, contract: DataContract) -> tuple[pa.Table, NDArray[np.bool_]]:
    """The columns of the file for the n rows, and which rows it has."""
    if file is None:
        return pa.table({}), np.ones(len(rows), dtype=bool)
    table = read_raw(file, {**contract.readings, "request_id": Reading(column_type="string")}).table
    if "request_id" not in table.column_names:
        raise UsageError(f"{file} has the columns {', '.join(table.column_names)}; expected request_id among them.")
    names = [name for name in table.column_names if name in contract.columns and name != contract.target]
    try:
        places = table["row"].cast(pa.int32()) if "row" in table.column_names else pa.array([0] * len(table))
    except pa.ArrowInvalid as err:
        raise UsageError(f"{file}: row has a value that is no whole number: {err}.") from err
    keys = zip(table["request_id"].cast(pa.string()).to_pylist(), places.to_pylist(), strict=True)
    position = {key: place for place, key in enumerate(keys)}
    wanted = zip(*(rows[name].to_pylist() for name in _JOIN), strict=True)
    found = [position.get(key) for key in wanted]
    return table.select(names).take(pa.array(found, pa.int64())), np.array([place is not None for place in found], bool)


def _with_origin(table: pa.Table, added: int, columns: Mapping[str, object]) -> pa.Table:
    """The table with the origin of its last rows; that of earlier ones is kept."""
    before = len(table) - added
    for name in COLUMNS:
        old = table[name].slice(0, before).to_pylist() if name in table.column_names else [None] * before
        values = columns[name]
        new = values.to_pylist() if isinstance(values, pa.ChunkedArray) else list(values)  # type: ignore[call-overload]
        whole = pa.array([*old, *new], pa.string())
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, whole)
        else:
            table = table.append_column(name, whole)
    return table
