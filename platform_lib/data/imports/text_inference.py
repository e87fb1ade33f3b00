"""Infer what a column of texts from a CSV file holds, from all of its values, and say why.

Nothing is converted in silence: each notice names a value, what it became, and the option of `mlp data import` that
changes it.
"""

import re
import shlex
from collections.abc import Collection, Iterable
from dataclasses import replace

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.contract import ColumnType
from platform_lib.data.files.cleaning import COMMA_SEPARATOR
from platform_lib.data.files.date_text import iso_dates
from platform_lib.data.files.formats import PLAIN, CsvFormat, DecimalSign
from platform_lib.data.files.number_text import find_number_format, plain_numbers
from platform_lib.data.imports.date_inference import ISO, number_dates, text_dates
from platform_lib.data.imports.notices import text_notices
from platform_lib.data.imports.text_column import TextColumn, TextContext, cast
from platform_lib.errors import UsageError

MAX_EXACT_INTEGER = 2**53
"""Beyond it, neighbouring whole numbers are the same float64, so that two identifiers would become one."""
TOO_LARGE = "whole numbers beyond 2^53 are kept as text, since a model's numbers would merge neighbours"

_TRUE, _FALSE = pa.array(["true", "True", "TRUE"]), pa.array(["false", "False", "FALSE"])
_CODE = r"^-?0[0-9xX]"
_MARKER = (
    r"(?i)^(?:[?*.\x{2013}\x{2014}-]+|n\.?[/ ]?a\.?|n/?d|k\.? ?a\.?|nil|none|null|unknown|missing|not available|tbd"
    r"|#value!|#div/0!|#ref!|#num!|#null!|#name\?|0000-00-00(?: 00:00:00)?|\[.{0,3}\])$"
)
_CODE_NAME = re.compile(
    r"(^|[ _.-])(zip|zips|zipcode|zip5|postal|postcode|plz|cap|fips|icd|iban|sku|ean|isbn)([ _.-]?(code|no|nr|id))?$",
    re.IGNORECASE,
)


def infer_texts(values: pa.ChunkedArray, name: str, context: TextContext, *, kept: Collection[str] = ()) -> TextColumn:
    """Infer a column's type.

    Args:
        values: Texts without surrounding white space, shape (n,), at least one present.
        name: Of the column; some names say what numbers mean.
        context: What is known about the file.
        kept: Texts such as `?` that are values.
    """
    found = _typed(values, name, context)
    if found is not None:
        return found
    markers = [marker for marker in _markers(values) if marker not in kept]
    if markers:
        rest = pc.if_else(pc.is_in(values, value_set=pa.array(markers)), pa.scalar(None, pa.string()), values)
        found = _typed(rest, name, context)
        if found is not None and found.kind not in ("string", "boolean"):
            listed = ", ".join(repr(marker) for marker in markers)
            options = " ".join(f"--not-missing {shlex.quote(f'{name}={marker}')}" for marker in markers)
            count = rest.null_count - values.null_count
            are = f"{listed} {'are' if len(markers) > 1 else 'is'} read as missing"
            notice = f"{are} in {count} row{'' if count == 1 else 's'} ({options} keeps the text)"
            csv = msgspec.structs.replace(found.csv, missing=tuple(markers))
            return replace(found, csv=csv, notices=(notice, *found.notices))
    return TextColumn(kind="string", values=values, reason="text", notices=tuple(text_notices(values, name)))


def decimal_of(columns: Iterable[pa.ChunkedArray]) -> DecimalSign | None:
    """The decimal sign that a file's columns prove, each by values that can be read in one way only; else None."""
    found: set[DecimalSign] = set()
    for values in columns:
        # One value with a comma is enough to look closer; most columns have none.
        if values.null_count == len(values) or not pc.any(pc.match_substring_regex(values, r"\d,\d")).as_py():
            continue
        number_format = find_number_format(values, None)
        if number_format is not None and not number_format.is_ambiguous:
            found.add(number_format.decimal)
    return found.pop() if len(found) == 1 else None


def texts_as(values: pa.ChunkedArray, kind: ColumnType, name: str, context: TextContext) -> TextColumn:
    """Read a column as the type that was asked for.

    Raises:
        UsageError: A value cannot be read so; names the first.
    """
    reason = f"as --column {name}:{kind} says"
    if kind == "string":
        return TextColumn(kind=kind, values=values, reason=reason)
    if kind == "boolean":
        found = _booleans(values)
    elif kind == "datetime":
        found = text_dates(values, name, context) or number_dates(values, name, is_asked=True)
    else:
        found = _numbers(values, name, context, as_codes=False)
        if found is not None and kind == "number" and found.kind == "integer":
            found = replace(found, kind="number", values=found.values.cast(pa.float64()))
    if found is None or found.kind != kind:
        example = _misfit(values, kind, context)
        raise UsageError(
            f"--column {name}:{kind}: the value {example!r:.60} cannot be read as {kind}. Choose another type; "
            f"if it means that the value is missing, add --missing {shlex.quote(f'{name}={example}')}."
        )
    return replace(found, reason=reason)


def _typed(values: pa.ChunkedArray, name: str, context: TextContext) -> TextColumn | None:
    found = _numbers(values, name, context, as_codes=True)
    if found is not None:
        return (number_dates(values, name, is_asked=False) or found) if found.kind == "integer" else found
    return _booleans(values) or text_dates(values, name, context)


def _numbers(values: pa.ChunkedArray, name: str, context: TextContext, *, as_codes: bool) -> TextColumn | None:
    plain = values
    number_format = None
    if context.decimal == "," or cast(values, pa.float64()) is None:
        prefers_comma = context.separator == COMMA_SEPARATOR
        number_format = find_number_format(values, context.decimal or ("," if prefers_comma else None))
        if number_format is None and context.decimal is None:
            number_format = find_number_format(values, ".")
        if number_format is not None:
            plain = plain_numbers(values, decimal=number_format.decimal, unit=number_format.unit)
    integers = cast(plain, pa.int64())
    numbers = integers if integers is not None else cast(plain, pa.float64())
    if numbers is None:
        return None
    if as_codes and (code := _code_reason(values, plain, integers, name)):
        return TextColumn(kind="string", values=values, reason=code[0], notices=(code[1],))
    csv, notices = PLAIN, []
    if number_format is not None:
        is_usual = number_format.decimal == "." and context.separator != COMMA_SEPARATOR
        csv = CsvFormat(decimal=None if is_usual else number_format.decimal, unit=number_format.unit)
    changed = pc.and_(pc.is_valid(values), pc.not_equal(values, plain))
    if pc.any(changed).as_py():
        row = pc.index(changed, True).as_py()
        before, after = values[row].as_py(), plain[row].as_py()
        other = "." if csv.decimal == "," else ","
        option = f"--column {shlex.quote(name + ':string')} keeps the text"
        if re.fullmatch(r"[^.,]*\d{1,3}[.,]\d{3}[^.,]*", before):
            option = f"--decimal {shlex.quote(other)} if {other!r} is the decimal sign; " + option
        unit = f" in {csv.unit}" if csv.unit else ""
        notices.append(f"{before!r:.40} is read as {after}{unit} ({option})")
    elif context.separator != "," and context.decimal is None and _could_be_grouped(values):
        row = pc.index(pc.match_substring(values, "."), True).as_py()
        notices.append(
            f"{values[row].as_py()!r:.40} is read with a decimal point (--decimal ',' if it separates thousands)"
        )
    kind: ColumnType = "integer" if integers is not None else "number"
    reason = "all are whole numbers" if integers is not None else "all are numbers"
    return TextColumn(kind=kind, values=numbers, reason=reason, csv=csv, notices=tuple(notices))


def _could_be_grouped(values: pa.ChunkedArray) -> bool:
    has_point = pc.any(pc.match_substring(values, ".")).as_py()
    return bool(has_point and pc.all(pc.match_substring_regex(values, r"^[+-]?\d{1,3}(?:\.\d{3})*$")).as_py())


def _code_reason(
    values: pa.ChunkedArray, plain: pa.ChunkedArray, integers: pa.ChunkedArray | None, name: str
) -> tuple[str, str] | None:
    """Why numbers are kept as text, in short and with the option; None if they are numbers."""
    option = f"--column {shlex.quote(name + ':number')} reads numbers"
    if pc.any(pc.match_substring_regex(values, _CODE)).as_py():
        return "numbers with leading zeros", f"numbers with leading zeros are codes ({option})"
    if integers is not None:
        too_large = beyond_exact(integers)
    else:
        too_large = pc.all(pc.match_substring_regex(plain, r"^-?\d+$")).as_py()
    if too_large:
        return "too large for exact numbers", TOO_LARGE
    if integers is not None and _CODE_NAME.search(name):
        return "codes", f"the name says that the numbers are codes, so they are kept as text ({option})"
    return None


def _booleans(values: pa.ChunkedArray) -> TextColumn | None:
    is_true, is_false = pc.is_in(values, value_set=_TRUE), pc.is_in(values, value_set=_FALSE)
    if not pc.all(pc.or_(pc.or_(is_true, is_false), pc.is_null(values))).as_py():
        return None
    truth = pc.if_else(pc.is_null(values), pa.scalar(None, pa.bool_()), is_true)
    return TextColumn(kind="boolean", values=truth, reason="all are true or false")


def _markers(values: pa.ChunkedArray) -> list[str]:
    """Texts such as `?` that mean a missing value if all other values are numbers or dates."""
    texts = pc.unique(values.drop_null())
    markers: list[str] = texts.filter(pc.match_substring_regex(texts, _MARKER)).to_pylist()
    return sorted(markers) if len(texts) >= len(markers) + 2 else []


def _misfit(values: pa.ChunkedArray, kind: ColumnType, context: TextContext) -> str:
    """The first value that keeps a column from being read as a type."""
    texts = pc.unique(values.drop_null())
    if kind in ("integer", "number"):
        plain = plain_numbers(texts, decimal=context.decimal or ".", unit=None)
        pattern = r"^[+-]?\d+$" if kind == "integer" else r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
        other = texts.filter(pc.invert(pc.match_substring_regex(plain, pattern)))
    elif kind == "boolean":
        other = texts.filter(pc.invert(pc.is_in(texts, value_set=pa.concat_arrays([_TRUE, _FALSE]))))
    else:
        other = texts.filter(pc.invert(pc.match_substring_regex(iso_dates(texts, context.dates), ISO)))
    return str((other if len(other) else texts)[0].as_py())


def beyond_exact(numbers: pa.ChunkedArray) -> bool:
    """Whether a whole number is so large that a float would merge it with its neighbour."""
    span = pc.min_max(numbers).as_py()
    return bool(max(abs(span["min"]), abs(span["max"])) > MAX_EXACT_INTEGER)
