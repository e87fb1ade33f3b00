"""Recognize columns of people's names, and tell them from other capitalized texts."""

import re
import unicodedata
from collections.abc import Callable, Sequence

from platform_lib.data.personal.person_names import GIVEN_NAMES, SURNAMES

_PARTICLE_LIST = "von van der den de da di du la le del dos zu el al bin ibn af av y e mr mrs ms dr prof"
_PARTICLES = frozenset(_PARTICLE_LIST.split())
_NAME_TOKEN = re.compile(r"[^\W\d_]([^\W\d_]|['’.\-])*")
_STRONG_NAME = re.compile(
    r"\b((first|last|middle|given|maiden|family|full|legal|sur|fore) ?names?|[fl]name|(vor|nach|familien|zu|ruf)name|"
    r"prenoms?|nom de famille|apellidos?|cognome|voornaam|achternaam|sobrenome|apelido|fornavn|etternavn|efternavn|"
    r"fornamn|efternamn|imie|nazwisko|jmeno|prijmeni|soyadi?|etunimi|sukunimi|nombre y apellidos?|nom et prenom)\b"
)
_PERSON = (
    r"person(en)?|customers?|clients?|patient(en|in)?|employees?|users?|members?|contacts?|owners?|authors?|students?|"
    r"teachers?|doctors?|physicians?|nurses?|passengers?|applicants?|borrowers?|guests?|drivers?|tenants?|insured|"
    r"(card|account|policy) ?holders?|beneficiary|referees?|players?|managers?|agents?|kunden?|mitarbeiter(in)?|arzt|"
    r"aerztin|versicherter?|inhaber|mieter|schuler|lehrer|clientes?|pacientes?|medico|empleados?|alumnos?|titular|"
    r"employe|salarie|medecin|assure|dipendente|paziente|klant|medewerker|patienter"
)
_PERSON_NAME = re.compile(
    rf"\b({_PERSON}) ?(s ?)?(name|nom|nombre|nome|naam|navn|namn)\b|\b(kunden|patienten|mitarbeiter)name\b"
)
_NAME_OR_PERSON = re.compile(rf"^(name|nom|nome|nombre|naam|navn|namn|nimi|ad)$|\b({_PERSON})\b")
_OTHER_NAME = re.compile(
    r"\b(products?|items?|articles?|artikel|produkt\w*|producto|produit|company|companies|employer|firma|brand|marke|"
    r"make|model|city|cities|town|stadt|ort|ville|ciudad|citta|village|place|location|country|countries|land|pays|pais|"
    r"region|state|county|district|province|species|genus|breed|animal|plant|file|column|table|plan|tariff|store|shop|"
    r"branch|event|team|club|department|category|class|group|type|segment|project|hotel|restaurant|station|airport|"
    r"school|university|host|domain|server|app|device|street|road|title|movie|film|book|song|album|game|ship|vessel|"
    r"drug|medication|disease|diagnosis|campaign|channel|vendor|supplier|material|color|colour|currency|language)s?\b"
)


def _is_name(text: str) -> bool:
    tokens = _name_tokens(text)
    return 1 <= len(tokens) <= 7 and all(
        _NAME_TOKEN.fullmatch(token) and (token[0].isupper() or plain(token).rstrip(".") in _PARTICLES)
        for token in tokens
    )


def _is_spelled_name(text: str) -> bool:
    tokens = _name_tokens(text)
    return 1 <= len(tokens) <= 7 and all(_NAME_TOKEN.fullmatch(token) for token in tokens)


def _name_tokens(text: str) -> list[str]:
    return re.sub(r"[,()\"]", " ", text).split()


def _is_known_name(text: str) -> bool:
    tokens = {plain(token).strip(".'’-") for token in re.split(r"[\s,()\"-]+", text)}
    return bool(tokens & GIVEN_NAMES or tokens & SURNAMES)


def are_people(header: str, texts: Sequence[str]) -> str | None:
    """Say why a column seems to hold names of people; None if it does not seem to.

    Args:
        header: The column's name, as `recognition.words` writes it.
        texts: Some different values.
    """
    by_name = "its name"
    if _STRONG_NAME.search(header) and not _OTHER_NAME.search(header):
        return by_name if _share(_is_spelled_name, texts) >= 0.7 else None
    shape, known = _share(_is_name, texts), _share(_is_known_name, texts)
    several = _share(lambda text: len(text.split()) > 1, texts)
    if shape < 0.7:
        return None
    if _PERSON_NAME.search(header) and (several >= 0.5 or known >= 0.1):
        return by_name
    if _OTHER_NAME.search(header):
        return None
    if _NAME_OR_PERSON.search(header) and known >= (0.1 if several >= 0.5 else 0.3):
        return "its name and its values"
    if len(texts) >= 10 and several >= 0.8 and shape >= 0.9 and known >= 0.4:
        return "its values"
    return None


def _share(test: Callable[[str], bool], texts: Sequence[str]) -> float:
    return sum(map(test, texts)) / len(texts)


def plain(text: str, *, fold: bool = True) -> str:
    """A text without accents; with `fold`, in lower case."""
    text = text.translate(_LETTERS)
    text = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return text.casefold() if fold else text


_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i"})
