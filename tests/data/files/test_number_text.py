"""Numbers as people write them are found and read, and nothing else is."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_lib.data.files.formats import DecimalSign
from platform_lib.data.files.number_text import NumberFormat, find_number_format, plain_numbers


def column(*texts: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


@pytest.mark.parametrize(
    ("texts", "decimal", "unit", "numbers"),
    [
        (("1,234", "987.5"), ".", None, [1234, 987.5]),
        (("1.234,5", "9"), ",", None, [1234.5, 9]),
        (("1.000.000", "5"), ",", None, [1_000_000, 5]),
        (("1 234 567", "3"), ".", None, [1234567, 3]),
        (("1'234.5", "7"), ".", None, [1234.5, 7]),
        (("1_234", "5"), ".", None, [1234, 5]),
        (("$1,234.00", "-$5", "$-6"), ".", "$", [1234, -5, -6]),
        (("USD 5", "USD 6.5"), ".", "USD", [5, 6.5]),
        (("5 €", "1.234,50 €"), ",", "€", [5, 1234.5]),
        (("12%", "13.5 %"), ".", "%", [12, 13.5]),
        (("70 kg", "0,5kg"), ",", "kg", [70, 0.5]),
        (("(256)", "12", "($4)"), None, None, None),
        (("(256)", "12"), ".", None, [-256, 12]),
        (("\u22120.26", "1e-3"), ".", None, [-0.26, 0.001]),
    ],
    ids=lambda value: str(value)[:24],
)
def test_numbers_for_people_are_read(
    texts: tuple[str, ...], decimal: DecimalSign | None, unit: str | None, numbers: list[float] | None
) -> None:
    found = find_number_format(column(*texts, None), None)

    if decimal is None or numbers is None:
        assert found is None
    else:
        assert found == NumberFormat(decimal=decimal, unit=unit)
        plain = plain_numbers(column(*texts), decimal=decimal, unit=unit)
        assert [float(text) for text in plain.to_pylist()] == numbers


@pytest.mark.parametrize(
    "texts",
    [
        ("70 kg", "154 lb"),
        ("A1", "A2"),
        ("#12", "#13"),
        ("007", "12"),
        ("[98]", "3"),
        ("1,23,456", "2"),
        ("1.5.2", "3"),
        ("3-4", "5"),
        ("1,2", "1.5"),
        ("5'11", "6'2"),
        ("1:30", "2:30"),
        ("555 123 456", "555 123 457"),
        ("192.168.100.100", "192.168.100.101"),
        ("5-", "6-"),
        ("+-5", "3"),
        ("$5 kg", "$6 kg"),
        ("12", "many"),
    ],
    ids=str,
)
def test_codes_and_mixtures_are_no_numbers(texts: tuple[str, ...]) -> None:
    assert find_number_format(column(*texts), None) is None


def test_one_separator_before_three_digits_can_be_read_in_two_ways() -> None:
    for texts in [("1,234", "987"), ("1.234", "987")]:
        found = find_number_format(column(*texts), None)
        assert found is not None
        assert found.is_ambiguous


def test_another_unit_stays_as_it_is() -> None:
    assert plain_numbers(column("70 kg", "154 lb", "7"), decimal=".", unit="kg").to_pylist() == ["70", "154 lb", "7"]


def written(number: int, fraction: str, group: str, decimal: str) -> str:
    sign, digits = ("-" if number < 0 else ""), f"{abs(number):,}".replace(",", group)
    return sign + digits + (decimal + fraction if fraction else "")


@given(
    numbers=st.lists(
        st.tuples(st.integers(-(10**12), 10**12), st.text("0123456789", max_size=4)), min_size=1, max_size=20
    ),
    style=st.sampled_from(
        [(",", "."), (".", ","), (" ", "."), (" ", ","), ("'", "."), ("_", "."), ("", "."), ("", ",")]
    ),
    affix=st.sampled_from(["{}", "${}", "{} kg", "{}%", "€ {}"]),
)
def test_what_a_style_writes_is_read_back(
    numbers: list[tuple[int, str]], style: tuple[str, DecimalSign], affix: str
) -> None:
    group, decimal = style
    texts = [affix.format(written(number, fraction, group, decimal)) for number, fraction in numbers]

    plain = plain_numbers(column(*texts), decimal=decimal, unit=affix.replace("{}", "").strip() or None)

    expected = [written(number, fraction, "", ".") for number, fraction in numbers]
    assert [float(text) for text in plain.to_pylist()] == [float(text) for text in expected]
