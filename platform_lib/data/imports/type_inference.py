"""Infer a column's type and limits from all of its values, and say why."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.contract import MAX_CATEGORIES, Column, ColumnType
from platform_lib.data.frame import EXPECTED, convert
from platform_lib.errors import UsageError

MAX_EXACT_INTEGER = 2**53
"""Beyond it, neighbouring whole numbers are the same float64, so that two identifiers would become one."""

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.timestamp("us"),
}

_TRUE, _FALSE = pa.array(["true", "True", "TRUE"]), pa.array(["false", "False", "FALSE"])
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_TOO_LARGE = "whole numbers beyond 2^53 are kept as text, since a model's numbers would merge neighbours"
_CODE = r"^-?0[0-9xX]"
_OTHER_DATE = r"^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}( |$)"


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


def infer_column(values: pa.ChunkedArray, *, from_text: bool) -> InferredColumn | None:
    """Infer one column; None if it has no value at all.

    Args:
        values: As `reading.read_raw` gives them, shape (n,).
        from_text: The file was CSV, so that texts may be values of other types.
    """
    if values.null_count == len(values):
        return None
    notices: list[str] = []
    if from_text:
        kind, values, reason = _type_of_texts(values, notices)
    else:
        reason = f"{values.type} in the file"
        kind, values = _type_of_values(values, notices)
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
    if kind == "string" and from_text:
        notices += _text_notices(values)
    if any("${" in str(value) or value == "???" for value in _few(values, kind, distinct)):
        notices.append("its values are not listed as allowed, since Hydra would read one as a reference")
    missing = values.null_count
    return InferredColumn(
        column=limits(values, kind, distinct),
        values=values,
        missing=missing,
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
            f"{series.iloc[row]!r:.60} in row {row} (counted from 0). Fix the file, or import all rows again with "
            "--replace."
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
        if _beyond_exact(values):
            notices.append(_TOO_LARGE)
            return "string", values.cast(pa.string())
        return "integer", values.cast(pa.int64())
    return type_of_arrow(kind), values


def _type_of_texts(values: pa.ChunkedArray, notices: list[str]) -> tuple[ColumnType, pa.ChunkedArray, str]:
    integers = _cast(values, pa.int64())
    numbers = integers if integers is not None else _cast(values, pa.float64())
    if numbers is not None:
        if pc.any(pc.match_substring_regex(values, _CODE)).as_py():
            notices.append("numbers with leading zeros are kept as text, as codes are")
            return "string", values, "numbers with leading zeros"
        too_large = (
            _beyond_exact(integers)
            if integers is not None
            else pc.all(pc.match_substring_regex(values, r"^-?\d+$")).as_py()
        )
        if too_large:
            notices.append(_TOO_LARGE)
            return "string", values, "too large for exact numbers"
        return (
            ("integer", numbers, "all are whole numbers")
            if integers is not None
            else ("number", numbers, "all are numbers")
        )
    is_true, is_false = pc.is_in(values, value_set=_TRUE), pc.is_in(values, value_set=_FALSE)
    if pc.all(pc.or_(pc.or_(is_true, is_false), pc.is_null(values))).as_py():
        return "boolean", pc.if_else(pc.is_null(values), pa.scalar(None, pa.bool_()), is_true), "all are true or false"
    times = _times(values)
    if times is not None:
        return "datetime", times, "all are ISO 8601 dates or times"
    return "string", values, "text"


def _beyond_exact(numbers: pa.ChunkedArray) -> bool:
    span = pc.min_max(numbers).as_py()
    return bool(max(abs(span["min"]), abs(span["max"])) > MAX_EXACT_INTEGER)


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        return None


def _times(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    first = values.drop_null()[0].as_py()
    if not pc.match_substring_regex(pa.scalar(first), r"^\d{4}-\d{2}-\d{2}").as_py():
        return None
    times = _cast(values, pa.timestamp("us"))
    if times is not None:
        return times
    # Slower, but reads zones and everything else that requests may contain.
    typed, bad = convert(values.to_pandas(), Column(type="datetime"))
    return None if bad.size else pa.chunked_array([pa.array(typed)])


def _text_notices(values: pa.ChunkedArray) -> list[str]:
    """Notices about a column of texts that looks like numbers or dates."""
    present = values.drop_null()
    counts = pc.value_counts(present)
    texts, repeats = counts.field("values"), counts.field("counts")
    notices: list[str] = []
    is_number = pc.match_substring_regex(texts, _NUMBER)
    numbers = pc.sum(repeats.filter(is_number)).as_py() or 0
    if 0.5 <= numbers / len(present) < 1:
        other = texts.filter(pc.invert(is_number))[0].as_py()
        row = pc.index(values, pa.scalar(other, values.type)).as_py()
        notices.append(
            f"mixed: {numbers} of {len(present)} values are numbers, but {other!r:.40} in row {row} is not, so all are "
            "text"
        )
    elif pc.all(pc.match_substring_regex(texts, _OTHER_DATE)).as_py():
        notices.append(
            f"looks like dates, but {texts[0].as_py()!r} can be read in two ways: kept as text; write dates as "
            "YYYY-MM-DD"
        )
    return notices


def _few(values: pa.ChunkedArray, kind: ColumnType, distinct: int) -> list[Any]:
    return list(pc.unique(values.drop_null()).to_pylist()) if kind == "string" and distinct <= MAX_CATEGORIES else []
