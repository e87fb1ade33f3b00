"""Columns of personal data are recognized by name and values, and ordinary columns are not."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from stdnum import luhn
from stdnum.br import cpf
from stdnum.de import idnr
from stdnum.es import dni
from stdnum.fr import nir

from platform_lib.data.files.reading import read_raw
from platform_lib.data.imports.text_column import TextContext
from platform_lib.data.imports.type_inference import infer_column
from platform_lib.data.personal.recognition import recognize

COUNT = 40
_CSV = TextContext(separator=",", decimal=None, dates=None)


def _made(make: Callable[[random.Random, int], str]) -> list[str]:
    dice = random.Random(1)
    return [make(dice, number) for number in range(COUNT)]


def _one_of(*texts: str) -> list[str]:
    return _made(lambda dice, _: dice.choice(texts))


def _digits(dice: random.Random, count: int) -> str:
    return "".join(str(dice.randrange(10)) for _ in range(count))


def _valid(check: Callable[[str], bool], make: Callable[[random.Random], str]) -> list[str]:
    dice, found = random.Random(2), list[str]()
    while len(found) < COUNT:
        if check(number := make(dice)):
            found.append(number)
    return found


FIRST = ("Anna", "Marek", "Dev", "Lucía", "Jürgen", "Fatima", "Wei", "Olivia", "Tomasz", "Chidi", "Priya", "Zoltan")
LAST = ("Silva", "Müller", "O'Brien", "Okonkwo", "Nguyen", "Van der Berg", "Kowalska", "Haddad", "Smith", "Lindqvist")
NAMES = _made(lambda dice, _: f"{dice.choice(FIRST)} {dice.choice(LAST)}")
ISO_DATES = _made(lambda dice, _: f"{dice.randrange(1940, 2005)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}")
STREETS = _made(lambda dice, n: f"{n + 1} {dice.choice(('Main Street', 'Oak Avenue', 'Elm Rd', 'Park Lane'))}")
STRASSEN = _made(lambda dice, n: f"{dice.choice(('Hauptstraße', 'Am Markt', 'Gartenweg', 'Lindenallee'))} {n + 1}")
CARDS = [f"{body}{luhn.calc_check_digit(body)}" for body in _made(lambda dice, _: f"4{_digits(dice, 14)}")]
SSN = _made(lambda dice, _: f"{dice.randrange(1, 665):03}-{dice.randrange(1, 99):02}-{dice.randrange(1, 9999):04}")
PHONES = _made(lambda dice, _: f"+{dice.choice((49, 44, 33, 1))} {_digits(dice, 3)} {_digits(dice, 7)}")
NAME, IDENTITY = "people's names", "national identity numbers"

PERSONAL = [
    ("email", _made(lambda dice, n: f"{dice.choice(FIRST).lower()}{n}@mail.example.org"), "e-mail addresses"),
    ("kontakt", _made(lambda _, n: f"kunde{n}@firma.example"), "e-mail addresses"),
    ("phone", PHONES, "phone numbers"),
    ("x7", PHONES, "phone numbers"),
    ("Telefonnummer", _made(lambda dice, _: f"0170 {_digits(dice, 7)}"), "phone numbers"),
    ("mobile", _made(lambda dice, _: f"49{_digits(dice, 9)}"), "phone numbers"),
    ("contact_no", _made(lambda dice, _: f"({_digits(dice, 3)}) {_digits(dice, 3)}-{_digits(dice, 4)}"), "phone numbers"),
    ("iban", _made(lambda dice, _: f"DE21{_digits(dice, 18)}"), "IBANs"),
    ("konto", _made(lambda dice, _: f"NL91ABNA{_digits(dice, 10)}"), "IBANs"),
    ("payout", _made(lambda dice, _: f"DE21 {_digits(dice, 4)} {_digits(dice, 4)} {_digits(dice, 4)} {_digits(dice, 4)} {_digits(dice, 2)}"), "IBANs"),
    ("card_number", _made(lambda dice, _: f"4{_digits(dice, 15)}"), "payment cards"),
    ("paid_with", CARDS, "payment cards"),
    ("kreditkarte", [f"{card[:4]} {card[4:8]} {card[8:12]} {card[12:]}" for card in CARDS], "payment cards"),
    ("address", STREETS, "postal addresses"),
    ("Anschrift", STRASSEN, "postal addresses"),
    ("lives_at", STREETS, "postal addresses"),
    ("domicile", _made(lambda dice, n: f"{n} rue de la {dice.choice(('Paix', 'République'))}, 75002 Paris"), "postal addresses"),
    ("ssn", SSN, IDENTITY),
    ("reference", SSN, IDENTITY),
    ("social_security_number", [number.replace("-", "") for number in SSN], IDENTITY),
    ("SteuerID", _valid(idnr.is_valid, lambda dice: _digits(dice, 11)), IDENTITY),
    ("nummer", _valid(idnr.is_valid, lambda dice: _digits(dice, 11)), IDENTITY),
    ("NINO", _made(lambda dice, _: f"AB{_digits(dice, 6)}C"), IDENTITY),
    ("ni", _made(lambda dice, _: f"AB {_digits(dice, 2)} {_digits(dice, 2)} {_digits(dice, 2)} C"), IDENTITY),
    ("numero_insee", _valid(nir.is_valid, lambda dice: f"1{dice.randrange(40, 99)}0{dice.randrange(1, 9)}75{_digits(dice, 8)}"), IDENTITY),
    ("documento", _valid(dni.is_valid, lambda dice: f"{_digits(dice, 8)}{dice.choice('TRWAGMYFPDXBNJZSQVHLCKE')}"), IDENTITY),
    ("DNI", _made(lambda dice, _: f"{_digits(dice, 8)}A"), IDENTITY),
    ("code", _valid(cpf.is_valid, lambda dice: _digits(dice, 11)), IDENTITY),
    ("passport_no", _made(lambda dice, _: f"C01X{_digits(dice, 5)}"), IDENTITY),
    ("date_of_birth", ISO_DATES, "dates of birth"),
    ("Geburtsdatum", [f"{d[8:]}.{d[5:7]}.{d[:4]}" for d in ISO_DATES], "dates of birth"),
    ("DOB", [date.replace("-", "") for date in ISO_DATES], "dates of birth"),
    ("fecha_nacimiento", ISO_DATES, "dates of birth"),
    ("ip", _made(lambda dice, _: f"{dice.randrange(1, 224)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}"), "IP addresses"),
    ("client", _made(lambda dice, _: f"2001:db8::{_digits(dice, 4)}"), "IP addresses"),
    ("name", NAMES, NAME),
    ("Name", [f"{text.split()[-1]}, Mr. {text.split()[0]}" for text in NAMES], NAME),
    ("customer_name", NAMES, NAME),
    ("Kundenname", NAMES, NAME),
    ("attending", NAMES, NAME),
    ("doctor", [f"Dr. {text}" for text in NAMES], NAME),
    ("firstName", _one_of(*FIRST), NAME),
    ("Vorname", _one_of(*FIRST), NAME),
    ("prénom", _one_of(*FIRST), NAME),
    ("apellidos", _one_of(*LAST), NAME),
    ("surname", [text.lower() for text in _one_of(*LAST)], NAME),
]  # fmt: skip

ORDINARY = [
    ("product_name", _one_of("Oak Table", "Red Chair", "Desk Lamp", "Garden Bench", "Martin Guitar")),
    ("name", _one_of("Oak Table", "Red Chair", "Desk Lamp", "Garden Bench", "Wall Clock", "Coffee Mug", "Sofa Bed")),
    ("product", _one_of("iPhone 15 Pro", "Galaxy S24", "Pixel 9")),
    ("city", _one_of("San Diego", "New York", "Santa Maria", "Saint Paul", "Buenos Aires", "Den Haag", "Port Louis")),
    ("name", _one_of("Berlin", "New York", "Lagos", "Mumbai", "San José", "Lyon", "Osaka", "Victoria", "Paris")),
    ("birthplace", _one_of("Berlin", "Lagos", "Mumbai")),
    ("species", _one_of("Adelie", "Chinstrap", "Gentoo")),
    ("name", _one_of("Quercus robur", "Iris setosa", "Pinus nigra", "Homo sapiens", "Felis catus", "Canis lupus")),
    ("company", _one_of("Morgan Stanley", "Goldman Sachs", "Charles Schwab", "Deutsche Bank")),
    ("country_name", _one_of("Germany", "Costa Rica", "New Zealand", "South Korea")),
    ("order_number", [str(100_000_000 + 7 * number) for number in range(COUNT)]),
    ("order_no", [f"2024-{number:06}" for number in range(COUNT)]),
    ("invoice", [f"INV-{number:08}" for number in range(COUNT)]),
    ("sku", _made(lambda dice, _: f"AB{_digits(dice, 2)}CDEF{_digits(dice, 8)}")),
    ("barcode", _made(lambda dice, _: f"40{_digits(dice, 11)}")),
    ("tracking", _made(lambda dice, _: f"4{_digits(dice, 15)}")),
    ("timestamp", _made(lambda dice, _: f"17{_digits(dice, 8)}")),
    ("zip", _made(lambda dice, _: _digits(dice, 5))),
    ("version", _made(lambda dice, n: f"1.2.{n}.4")),
    ("date", ISO_DATES),
    ("joined_on", ISO_DATES),
    ("PhoneService", _one_of("Yes", "No")),
    ("MultipleLines", _one_of("Yes", "No", "No phone service")),
    ("mobile_price", _made(lambda dice, _: str(dice.randrange(100, 900)))),
    ("phone_type", _one_of("Android Phone", "Feature Phone")),
    ("credit_card", _one_of("Visa", "Mastercard")),
    ("email_opened", _one_of("yes", "no")),
    ("Street", _one_of("Pave", "Grvl")),
    ("address", _one_of("U", "R")),
    ("mac_address", _made(lambda dice, _: ":".join(_digits(dice, 2) for _ in range(6)))),
    ("nir", _made(lambda dice, _: f"0.{_digits(dice, 6)}")),
    ("sin", _made(lambda dice, _: f"{dice.uniform(-1, 1):.9f}")),
    ("customer", [str(870_000 + number) for number in range(COUNT)]),
    ("customer_id", _made(lambda dice, _: f"C{_digits(dice, 9)}")),
    ("customer_segment", _one_of("Young Family", "Senior Couple", "Student")),
    ("patient_status", _one_of("Stable", "Critical", "Recovering")),
    ("author", _one_of("Unknown", "Staff", "Agency")),
    ("drug_name", _one_of("Aspirin", "Ibuprofen", "Martin Salve")),
    ("comment", _one_of("Great product, works", "Too small for me.", "Sent back")),
    ("uuid", _made(lambda dice, _: f"{_digits(dice, 8)}-{_digits(dice, 4)}-4{_digits(dice, 3)}-8{_digits(dice, 3)}-{_digits(dice, 12)}")),
    ("income", _made(lambda dice, _: str(dice.randrange(20_000, 2_000_000)))),
    ("latitude", _made(lambda dice, _: f"{dice.uniform(-90, 90):.6f}")),
    ("first_class", _one_of("Yes", "No")),
    ("born", _made(lambda dice, _: str(dice.randrange(1940, 2005)))),
]  # fmt: skip


def _recognized(name: str, values: list[str]) -> str | None:
    column = infer_column(pa.chunked_array([pa.array(values)]), name, context=_CSV)
    assert column is not None
    found = recognize(name, column.values, column.column.type)
    return found.kind if found else None


@pytest.mark.parametrize(("name", "values", "kind"), PERSONAL, ids=[f"{case[2]}: {case[0]}" for case in PERSONAL])
def test_personal_data_is_recognized(name: str, values: list[str], kind: str) -> None:
    assert _recognized(name, values) == kind


def test_ordinary_columns_are_not_taken_for_personal_data() -> None:
    assert {(name, values[0]): kind for name, values in ORDINARY if (kind := _recognized(name, values))} == {}


def test_the_samples_columns_are_ordinary(tmp_path: Path) -> None:
    for file in (Path(__file__).parents[3] / "template" / "data").glob("*sample.csv*"):
        raw = read_raw(Path(shutil.copy(file, tmp_path / "sample.csv")))
        for name in raw.table.column_names:
            column = infer_column(raw.table.column(name), name, context=_CSV)
            assert column is None or recognize(name, column.values, column.column.type) is None


def test_values_count_only_where_there_are_enough_of_them() -> None:
    assert _recognized("x", ["+49 170 3188131", "+49 170 3188132"]) is None
    assert _recognized("phone", ["+49 170 3188131", "+49 170 3188132"]) == "phone numbers"
    assert _recognized("email", ["yes", "no", "a@b.example", "no"]) == "e-mail addresses"
