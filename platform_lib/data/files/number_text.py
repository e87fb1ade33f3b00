"""Numbers as people write them: `1,234.5`, `1.234,5`, `$1,234`, `(256)`, `12%`, `70 kg`, `−0.26`.

Works on whole columns of texts. Texts that are not numbers stay as they are, so that an error can name them.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.files.formats import DecimalSign

_CURRENCY = r"\p{Sc}|[A-Z]{2,3}\p{Sc}|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL|MXN|ZAR"
_NUMBER = r"[0-9.][0-9., '_\x{2019}]*(?:[eE][+-]?[0-9]+)?|[0-9.]"
_SUFFIX = r"%|‰|\p{Sc}|[\p{L}°µ][\p{L}°µ/²³]{0,9}"
_WRITTEN = (
    rf"^(?P<open>\(?)(?P<sign>[+-]?) ?(?P<before>{_CURRENCY})? ?(?P<inner>[+-]?)"
    rf"(?P<body>{_NUMBER}) ?(?P<after>{_SUFFIX})?(?P<close>\)?)$"
)
_FIRST = 200
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_PLAIN = rf"^(?:\d+\.?\d*|\.\d+){_EXPONENT}$"
_OTHER_GROUPS = r"(?: \d{3})+|(?:'\d{3})+|(?:_\d{3})+|(?:\x{2019}\d{3})+"
_GROUPS: dict[DecimalSign, str] = {
    ".": rf"^\d{{1,3}}(?:(?:,\d{{3}})+|{_OTHER_GROUPS})(?:\.\d+)?$",
    ",": rf"^\d{{1,3}}(?:(?:\.\d{{3}})+|{_OTHER_GROUPS})(?:,\d+)?$",
}
_COMMA_FRACTION = rf"^\d+,\d+{_EXPONENT}$"
_STRICT: dict[DecimalSign, str] = {
    ".": rf"{_PLAIN}|{_GROUPS['.']}",
    ",": rf"^\d+{_EXPONENT}$|{_COMMA_FRACTION}|{_GROUPS[',']}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberFormat:
    """How a whole column writes its numbers."""

    decimal: DecimalSign
    unit: str | None
    """Before or after each number; None if there is none."""
    is_ambiguous: bool = False
    """Every separator in the column could be the decimal sign or separate thousands, as in `1.234`."""


def find_number_format(values: pa.ChunkedArray, decimal: DecimalSign | None) -> NumberFormat | None:
    """Find how a column writes numbers; None if it does not hold only numbers.

    Args:
        values: Texts without surrounding white space, shape (n,), at least one present.
        decimal: The decimal sign, if it is known; None lets all values decide, and prefers the point in case of doubt.
    """
    texts = pc.unique(values.drop_null())
    first = _parts(texts[:_FIRST])
    if first is None or pc.any(pc.is_null(first["body"])).as_py():
        return None  # most columns of texts end here
    parts = _parts(texts)
    if parts is None or pc.any(pc.is_null(parts["body"])).as_py():
        return None
    units = _units(parts)
    if len(units) > 1 or (units and len(texts) < 2):
        return None
    body = parts["body"]
    # A leading zero makes a code, unless it is the only digit before the decimal sign.
    if pc.any(pc.match_substring_regex(body, r"^0\d")).as_py():
        return None
    if _are_codes(body):
        return None
    signs: tuple[DecimalSign, ...] = (decimal,) if decimal else (".", ",")
    fitting = [sign for sign in signs if pc.all(pc.match_substring_regex(body, _STRICT[sign])).as_py()]
    if not fitting:
        return None
    is_ambiguous = len(fitting) > 1 and bool(pc.any(pc.match_substring_regex(body, "[.,]")).as_py())
    return NumberFormat(decimal=fitting[0], unit=units[0] if units else None, is_ambiguous=is_ambiguous)


def plain_numbers(values: pa.ChunkedArray, *, decimal: DecimalSign, unit: str | None) -> pa.ChunkedArray:
    """Rewrite numbers to the plain form that programs read, such as `-1234.5`; other texts stay as they are.

    Args:
        values: Texts without surrounding white space, shape (n,).
        decimal: The decimal sign.
        unit: May stand before or after a number; a number with another unit stays as it is.
    """
    if pc.all(pc.match_substring_regex(values, rf"^[+-]?(?:\d+|\d*\.\d+){_EXPONENT}$")).as_py() and not (
        unit or decimal == ","
    ):
        return values
    parts = _parts(values)
    if parts is None:
        return values
    body, fits = parts["body"], _fits(parts["body"], decimal)
    before, after = parts["before"], parts["after"]
    has_none = pc.and_(pc.equal(before, ""), pc.equal(after, ""))
    has_unit = pc.equal(pc.binary_join_element_wise(before, after, ""), unit or "")
    plain = pc.replace_substring_regex(body, "[ '_\u2019]", "")
    # A point that is followed by groups of three separates thousands only if the comma is the decimal sign.
    if decimal == ",":
        grouped = pc.match_substring_regex(body, _GROUPS[","])
        with_comma = pc.match_substring(body, ",")
        plain = pc.if_else(pc.or_(grouped, with_comma), pc.replace_substring(plain, ".", ""), plain)
        plain = pc.replace_substring(plain, ",", ".")
    else:
        plain = pc.replace_substring(plain, ",", "")
    is_negative = pc.or_(
        pc.equal(parts["open"], "("), pc.or_(pc.equal(parts["sign"], "-"), pc.equal(parts["inner"], "-"))
    )
    plain = pc.binary_join_element_wise(pc.if_else(is_negative, "-", ""), plain, "")
    ok = pc.and_(fits, pc.or_(has_none, has_unit))
    return pc.if_else(pc.fill_null(ok, fill_value=False), plain, values)


def _parts(texts: pa.Array | pa.ChunkedArray) -> dict[str, pa.ChunkedArray] | None:
    """The pieces of each number, None where a text is no number; None if no text is one."""
    ascii_texts = pc.replace_substring_regex(
        pc.replace_substring_regex(texts, "[\u2212\u2010\u2011]", "-"), "[\u00a0\u2007\u2009\u202f]", " "
    )
    found = pc.extract_regex(ascii_texts, pattern=_WRITTEN)
    if found.null_count == len(found):
        return None
    columns = {name: pc.struct_field(found, name) for name in _names()}
    two_signs = pc.and_(pc.not_equal(columns["sign"], ""), pc.not_equal(columns["inner"], ""))
    paired = pc.equal(pc.equal(columns["open"], "("), pc.equal(columns["close"], ")"))
    signed = pc.or_(pc.not_equal(columns["sign"], ""), pc.not_equal(columns["inner"], ""))
    in_brackets = pc.and_(pc.equal(columns["open"], "("), signed)
    bad = pc.or_(pc.or_(two_signs, in_brackets), pc.invert(paired))
    columns["body"] = pc.if_else(bad, pa.scalar(None, pa.string()), pc.utf8_trim_whitespace(columns["body"]))
    return columns


def _names() -> tuple[str, ...]:
    return ("open", "sign", "before", "inner", "body", "after", "close")


def _units(parts: dict[str, pa.ChunkedArray]) -> list[str]:
    """The different units, "" for none; one that is written before and after counts as two."""
    pairs = pc.unique(pc.binary_join_element_wise(parts["before"], parts["after"], "\n"))
    found = {tuple(pair.split("\n")) for pair in pairs.to_pylist() if pair is not None}
    if found == {("", "")}:
        return []
    if any(before and after for before, after in found):
        return ["", ""]
    return sorted({before or after for before, after in found})


def _are_codes(body: pa.ChunkedArray) -> bool:
    """Whether whole numbers in groups are rather telephone numbers or other codes: long, and all of one length."""
    if not pc.all(pc.match_substring_regex(body, r"^[0-9]{1,3}([ .'_][0-9]{3}){2,}$")).as_py():
        return False
    lengths = pc.unique(pc.utf8_length(body))
    return len(body) > 1 and len(lengths) == 1


def _fits(body: pa.ChunkedArray, decimal: DecimalSign) -> pa.ChunkedArray:
    fits = pc.or_(pc.match_substring_regex(body, _PLAIN), pc.match_substring_regex(body, _GROUPS[decimal]))
    return pc.or_(fits, pc.match_substring_regex(body, _COMMA_FRACTION)) if decimal == "," else fits
