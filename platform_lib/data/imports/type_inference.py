"""Infer a column's type and limits from all of its values, and say why."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.contract import MAX_CATEGORIES, Column, ColumnType, shown
from platform_lib.data.files.formats import PLAIN, CsvFormat
from platform_lib.data.frame import EXPECTED, convert
from platform_lib.data.imports.text_column import TextContext
from platform_lib.data.imports.text_inference import TOO_LARGE, beyond_exact, infer_texts, texts_as
from platform_lib.errors import UsageError

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.timestamp("us"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class InferredColumn:
    """One column's inferred contract entry and typed values."""

    column: Column
    values: pa.ChunkedArray
    """Shape (n,), of the type in ARROW_TYPES."""
    missing: int
    distinct: int
    """Number of different values, without missing ones."""
    reason: str
    """Why the column has this type."""
    notices: tuple[str, ...] = ()
    """What people should know about the column, each a clause without a full stop."""

    def with_csv(self, csv: CsvFormat) -> "InferredColumn":
        """The same, written otherwise in CSV."""
        return replace(self, column=msgspec.structs.replace(self.column, csv=csv))


def infer_column(
    values: pa.ChunkedArray,
    name: str,
    *,
    context: TextContext | None,
    asked: ColumnType | None = None,
    kept: Collection[str] = (),
) -> InferredColumn | None:
    """Infer one column; None if it has no value at all.

    Args:
        values: As `reading.read_raw` gives them, shape (n,).
        name: Of the column.
        context: Of a CSV file, whose texts may be values of other types; None for Parquet.
        asked: The type that people asked for; None infers it.
        kept: Texts such as `?` that are values.
    Raises:
        UsageError: A value cannot be read as the type that was asked for.
    """
    if values.null_count == len(values):
        return None
    csv = PLAIN
    notices: list[str] = []
    if context is None:
        reason = f"{values.type} in the file"
        kind, values = _type_of_values(values, notices)
        if asked is not None and asked != kind:
            reason = f"{reason}; as --column {name}:{asked} says"
            kind, values = asked, as_type(values, Column(type=asked), name)
    else:
        if asked is None:
            found = infer_texts(values, name, context, kept=kept)
        else:
            found = texts_as(values, asked, name, context)
        kind, values, reason, csv = found.kind, found.values, found.reason, found.csv
        notices += found.notices
    if kind == "number":
        infinite = pc.is_inf(values)
        if count := pc.sum(infinite).as_py():
            values = pc.if_else(infinite, pa.scalar(None, pa.float64()), values)
            notices.append(f"{count} infinite values became missing")
            if values.null_count == len(values):
                return None
    distinct = int(pc.count_distinct(values).as_py())
    if distinct == 1:
        notices.append("constant: a model learns nothing from it")
    if any("${" in str(value) or value == "???" for value in _few(values, kind, distinct)):
        notices.append("its values are not listed as allowed, since Hydra would read one as a reference")
    column = limits(values, kind, distinct)
    return InferredColumn(
        column=column if csv == PLAIN else msgspec.structs.replace(column, csv=csv),
        values=values,
        missing=values.null_count,
        distinct=distinct,
        reason=reason,
        notices=tuple(notices),
    )


def limits(values: pa.ChunkedArray, kind: ColumnType, distinct: int, *, is_label: bool = False) -> Column:
    """The contract entry for typed values: nullable, range, categories. Labels are always listed and have no range."""
    nullable = values.null_count > 0
    if kind in ("string", "integer") and (is_label or kind == "string"):
        few = is_label or (distinct <= MAX_CATEGORIES and 2 * distinct <= len(values) - values.null_count)
        listed = sorted(pc.unique(values.drop_null()).to_pylist()) if few else None
        if listed is not None and any("${" in str(value) or value == "???" for value in listed):
            listed = None
        return Column(type=kind, nullable=nullable, allowed=listed)
    if kind in ("integer", "number"):
        span = pc.min_max(values).as_py()
        return Column(type=kind, nullable=nullable, min=span["min"], max=span["max"])
    return Column(type=kind, nullable=nullable)


def as_type(values: pa.ChunkedArray, column: Column, name: str) -> pa.ChunkedArray:
    """Convert raw values to their contract type, as training does.

    Args:
        values: Shape (n,).
        column: The contract entry.
        name: Of the column, for errors.
    Returns:
        Shape (n,), of the type in ARROW_TYPES.
    Raises:
        UsageError: A value cannot be converted; names the first and how many there are.
    """
    series = values.to_pandas()
    typed, bad = convert(series, column)
    if column.type == "integer" and not bad.size:
        bad = ((typed != typed.round()) & (typed == typed)).nonzero()[0]
    if bad.size:
        row = int(bad[0])
        are = "new value is" if bad.size == 1 else "new values are"
        raise UsageError(
            f"column {name!r} is of type {column.type} in the contract, but {bad.size} {are} not "
            f"{EXPECTED[column.type]}, the first is "
            f"{shown(series.iloc[row], column)} in row {row} (counted from 0). Fix the file, or import all rows again "
            "with --replace."
        )
    array = pa.array(typed, from_pandas=True)
    target = ARROW_TYPES[column.type]
    return pa.chunked_array([array if array.type == target else array.cast(target)])


def type_of_arrow(kind: pa.DataType) -> ColumnType:
    """The contract's type for a column of an imported Parquet file."""
    return next((name for name, arrow_type in ARROW_TYPES.items() if arrow_type == kind), "string")


def _type_of_values(values: pa.ChunkedArray, notices: list[str]) -> tuple[ColumnType, pa.ChunkedArray]:
    kind = values.type
    if pa.types.is_integer(kind):
        if beyond_exact(values):
            notices.append(TOO_LARGE)
            return "string", values.cast(pa.string())
        return "integer", values.cast(pa.int64())
    return type_of_arrow(kind), values


def _few(values: pa.ChunkedArray, kind: ColumnType, distinct: int) -> list[Any]:
    return list(pc.unique(values.drop_null()).to_pylist()) if kind == "string" and distinct <= MAX_CATEGORIES else []
