"""Recognize columns of personal data: names, contacts, accounts, identity numbers, dates of birth, addresses.

Both the column's name, in several languages, and its values decide. `python-stdnum` checks card and identity numbers;
a random number passes one check in ten, so nearly all values have to.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from platform_lib.data.personal.people import are_people, plain

_ROWS, _VALUES = 2_000, 300
"""At most this many rows, and different values of them, are looked at."""
_FEW = 5
"""With fewer different values, only the column's name can decide what they are."""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What a column seems to hold."""

    kind: str
    """In the plural, such as `e-mail addresses`."""
    reason: str
    """`its name`, `98 % of the values` or both."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of personal data."""

    plural: str
    header: str
    """Regular expression of column names, as `words` writes them."""
    fits: Callable[[str], bool]
    """Whether a value looks like it, knowing the column's name says so."""
    is_certain: Callable[[str], bool] | None
    """Whether a value is recognizable by itself; None if only the column's name can tell."""
    share: float = 0.5
    """Of values that must fit below a matching name."""
    certain_share: float = 0.8
    """Of values that must be recognizable where the name says nothing."""
    not_header: str = r"(?!)"
    """Names of columns that hold something else."""


def recognize(name: str, values: pa.ChunkedArray, kind: str) -> PersonalData | None:
    """Say what personal data a column seems to hold; None if it seems to hold none.

    Args:
        name: Of the column.
        values: Typed, shape (n,).
        kind: Their type in the contract.
    """
    if kind == "boolean":
        return None
    header = words(name)
    if kind == "datetime":
        return PersonalData(_BIRTH.plural, "its name") if re.search(_BIRTH.header, header) else None
    if kind != "string" and not _may_be_numbers(values):
        return None
    texts = _sample(values)
    if not texts:
        return None
    for each in (*_KINDS, _IDENTITY):
        if found := _judge(each, header, texts):
            return found
    if found := _identity(texts):
        return found
    reason = are_people(header, texts) if kind == "string" else None
    return PersonalData("people's names", reason) if reason else None


def words(name: str) -> str:
    """A column's name as lowercase words without accents, separated by one space: `Geb.Datum` → `geb datum`."""
    parts = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", plain(name, fold=False)))
    return " ".join(re.findall(r"[a-z]+|[0-9]+", parts.lower()))


def _judge(kind: _Kind, header: str, texts: Sequence[str]) -> PersonalData | None:
    if re.search(kind.not_header, header):
        return None
    if re.search(rf"\b(?:{kind.header})\b", header):
        share = _share(kind.fits, texts)
        return PersonalData(kind.plural, f"its name and {share:.0%} of its values") if share >= kind.share else None
    if kind.is_certain is None or len(texts) < _FEW:
        return None
    share = _share(kind.is_certain, texts)
    return PersonalData(kind.plural, f"{share:.0%} of its values") if share >= kind.certain_share else None


def _share(test: Callable[[str], bool], texts: Sequence[str]) -> float:
    return sum(map(test, texts)) / len(texts)


def _may_be_numbers(values: pa.ChunkedArray) -> bool:
    """Whether numbers may be phone, card or identity numbers: whole, with many digits."""
    span = pc.min_max(values).as_py()
    if span["max"] is None or span["max"] < 10**6 or span["max"] != int(span["max"]):
        return False
    return pa.types.is_integer(values.type) or bool(pc.all(pc.equal(values, pc.floor(values))).as_py())


def _sample(values: pa.ChunkedArray) -> list[str]:
    present = values.drop_null()
    if not len(present):
        return []
    if len(present) > _ROWS:
        present = present.take(pa.array(np.linspace(0, len(present) - 1, _ROWS).astype(np.int64)))
    if pa.types.is_floating(present.type):
        present = present.cast(pa.int64(), safe=False)
    return [str(value) for value in pc.unique(present).to_pylist()[:_VALUES]]


def _matches(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text.strip()) is not None


def _digits(text: str) -> str:
    return re.sub(r"[\s.\-/()]", "", text)


# --- Contacts ---

_is_email = _matches(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]{2,}")


def _is_phone(text: str) -> bool:
    digits = _digits(text.strip().lstrip("+"))
    return digits.isdigit() and 7 <= len(digits) <= 15 and not re.fullmatch(r"\d{4}-\d\d-\d\d.*|\d+\.\d+", text.strip())


_is_formatted_phone = _matches(r"\+\d[\d\s().\-/]{6,20}\d|(\+?1[-. ])?\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}")


def _is_ip(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return False
    return True


_STREET = re.compile(
    r"\b(street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|terrace|crescent|highway|"
    r"\w*(strasse|str|weg|platz|allee|gasse|damm|ring|ufer)|rue|chemin|quai|impasse|calle|avenida|plaza|paseo|carrer|"
    r"via|viale|piazza|corso|rua|travessa|\w*(straat|laan|plein|gracht|gatan|vagen|gade|vej|katu)|ulica|ul)\b"
)


def _is_street(text: str) -> bool:
    low = plain(text)
    return bool(_STREET.search(low) and re.search(r"\b\d{1,5}[a-z]?\b", low))


def _is_address(text: str) -> bool:
    low = plain(text)
    parts = len(low.split()) >= 2 and bool(re.search(r"[a-z]{3}", low))
    return parts and bool(re.search(r"\b\d{1,5}[a-z]?\b", low) or _STREET.search(low))


# --- Accounts and cards ---

_IBANS = """
AD24 AE23 AT20 BE16 BG22 BR29 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GR27 HR21 HU28 IE22 IL23 IS26
IT27 LI21 LT20 LU20 LV21 MC27 MT31 NL18 NO15 PL28 PT25 RO24 RS22 SA24 SE24 SI19 SK24 TR26 UA29
"""
_IBAN_LENGTHS = {word[:2]: int(word[2:]) for word in _IBANS.split()}


def _is_iban(text: str) -> bool:
    compact = re.sub(r"[\s-]", "", text).upper()
    return re.fullmatch(r"[A-Z]{2}\d\d[A-Z0-9]+", compact) is not None and len(compact) == _IBAN_LENGTHS.get(
        compact[:2]
    )


_is_account = _matches(r"(?=(.*\d){6})[A-Za-z0-9][A-Za-z0-9 .\-/]{4,38}")
_CARD = re.compile(
    r"4\d{12}(\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(011|5\d\d|4[4-9]\d)\d{12}|3[068]\d{12}|35\d{14}|62\d{14,17}"
)


def _is_card(text: str) -> bool:
    from stdnum import luhn

    digits = _digits(text)
    return _CARD.fullmatch(digits) is not None and bool(luhn.is_valid(digits))


# --- Identity ---

_is_identity = _matches(r"(?=(.*\d){4})(?=(.*[A-Za-z0-9]){8})[A-Za-z0-9][A-Za-z0-9 .\-/]{6,24}")
_SSN = _matches(r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}")
_NINO = _matches(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]")
_CHECKED = (
    "be.nn", "br.cpf", "ch.ssn", "cn.ric", "cz.rc", "de.idnr", "dk.cpr", "es.dni", "es.nie", "fi.hetu",
    "fr.nir", "gb.nhs", "hr.oib", "in_.aadhaar", "it.codicefiscale", "kr.rrn", "mx.curp", "nl.bsn", "no.fodselsnummer",
    "pl.pesel", "pt.cc", "ro.cnp", "se.personnummer", "tr.tckimlik", "za.idnr",
)  # fmt: skip
"""Modules of stdnum for numbers of people, not of companies, that have check digits or contain a date."""


@cache
def _validators() -> list[Callable[[str], bool]]:
    return [import_module(f"stdnum.{name}").is_valid for name in _CHECKED]


def _identity(texts: Sequence[str]) -> PersonalData | None:
    """Identity numbers whose column has another name: nearly all values must be valid by one and the same rule."""
    if len(texts) < _FEW or _share(_is_identity, texts[:20]) < 0.9:
        return None
    for rule in (_SSN, _NINO, *_validators()):
        if _share(rule, texts[:20]) >= 0.8 and (share := _share(rule, texts)) >= 0.9:
            return PersonalData(_IDENTITY.plural, f"{share:.0%} of its values")
    return None


_BIRTH = _Kind(
    "dates of birth",
    r"date ?of ?birth|birth ?(date|day)|b ?day|dob|born( on)?|geburts(datum|tag)|geb ?(datum|dat)|"
    r"(date ?(de )?)?naissance|fecha ?(de )?nac\w*|nacimiento|data ?(di )?nascita|(data ?(de )?)?nascimento|"
    r"geboorte(datum)?|fodselsdato|fodelsedatum|data urodzenia|syntymaaika|dogum tarihi",
    _matches(r"\d{1,4}[./\- ]\d{1,2}[./\- ]\d{1,4}.*|(19|20)\d{6}|\d{1,2}[ .\-][A-Za-z]{3,9}[ .\-]\d{2,4}"),
    None,
)
_KINDS = (
    _Kind("e-mail addresses", r"e ?mail|mail|correo|courriel", _is_email, _is_email, 0.2, 0.5),
    _Kind("IBANs", r"iban", _is_account, _is_iban),
    _Kind(
        "bank accounts", r"bank ?account\w*|konto ?(nummer|nr|no)|bankverbindung|rekening ?nummer", _is_account, None
    ),
    _Kind(
        "payment cards",
        r"(credit|debit|payment|bank) ?cards?|card ?(number|no|nr|num)|kreditkarten?\w*|carte ?(bancaire|de credit)|"
        r"tarjeta\w*|carta di credito|cc ?(number|num|no)",
        _matches(r"\d([ -]?\d){12,18}"),
        _is_card,
    ),
    _Kind("IP addresses", r"ip( ?addr\w*)?|ipv[46]", _is_ip, _is_ip, not_header=r"version|release|build|firmware"),
    _BIRTH,
    _Kind(
        "phone numbers",
        r"(tele|cell)? ?phones?( ?(number|no|nr))?|mobiles?|mobil\w*|tel|telefon\w*|telephone|telefono|movil|celular|"
        r"handy\w*|fax|rufnummer|gsm|whatsapp|msisdn|telefoon\w*",
        _is_phone,
        _is_formatted_phone,
    ),
    _Kind(
        "postal addresses",
        r"(home|street|postal|mailing|billing|shipping)? ?address(es)?( ?line)?( ?\d)?|addr|street|anschrift|adress?e|"
        r"wohnort|strasse|str|direccion|domicilio|domicile|indirizzo|endereco|morada|rue|calle|adres|straat|ulica",
        _is_address,
        _is_street,
        0.5,
        0.6,
        not_header=r"\b(mac|web|wallet|url|ip)\b",
    ),
)  # fmt: skip
_IDENTITY = _Kind(
    "national identity numbers",
    r"ssn|social ?(security|insurance)\w*|steuer ?(id\w*|nummer|nr)|idnr|(sozial|renten)versicherungs\w*|"
    r"(personal)?ausweis\w*|reisepass\w*|passports?|passeport|pasaporte|pass ?(nr|number|nummer)|nino|"
    r"national ?insurance|nhs( ?(number|no))?|insee|nir|securite sociale|secu|dni|nie|nif|codice ?fiscale|bsn|"
    r"burgerservice\w*|person(en)?nummer|fodselsnummer|cpr|hetu|henkilotunnus|pesel|cpf|curp|aadhaa?r|"
    r"tax ?(id|number|payer)|tin|itin|national ?(id\w*|number)|identity|identification|cedula|id ?card|"
    r"driv\w+ ?licen[cs]es?|ahv|avs|rijksregister\w*|egn|cnp|oib|jmbg|tckn|kimlik",
    _is_identity,
    None,
    0.6,
)
