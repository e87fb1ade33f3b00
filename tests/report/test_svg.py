"""The charts' scales, ticks and marks, and that texts stay texts."""

import math
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_lib.report.svg import Chart, Scale, shortened, span, tick_text, ticks

NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)


@given(NUMBERS, st.floats(1e-6, 1e12))
def test_ticks_are_round_ascending_few_and_inside(low: float, width: float) -> None:
    high = low + width
    if high <= low:
        return
    found = ticks(low, high)

    assert len(found) <= 7
    assert found == sorted(set(found))
    slack = 1e-6 * max(abs(low), abs(high), width)
    assert all(low - slack <= value <= high + slack for value in found)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-11.0, 8.0, [-10.0, -5.0, 0.0, 5.0]),
        (0.0, 0.0, []),
        (0.0, math.inf, []),
    ],
)
def test_ticks_of_known_ranges(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@given(st.lists(NUMBERS | st.just(math.nan) | st.just(math.inf), max_size=20))
def test_a_span_contains_every_finite_value_and_is_never_empty(values: list[float]) -> None:
    low, high = span(values)

    assert low < high
    assert all(low <= value <= high for value in values if math.isfinite(value))


def test_a_scale_maps_its_ends_and_keeps_values_outside_on_the_edge() -> None:
    scale = Scale(low=0.0, high=10.0, start=100.0, end=200.0)

    assert [scale(value) for value in (0, 5, 10, -3, 99)] == [100, 150, 200, 100, 200]


def test_texts_are_escaped_and_every_chart_has_a_title_and_a_description() -> None:
    mark = "<script>alert('x')</script> & \"y\""

    root = fromstring(Chart(mark, mark).axes(mark, mark).legend([(mark, "s1")]).markup())

    assert [child.text for child in root[:2]] == [mark, mark]
    assert root.get("aria-labelledby") == " ".join(str(child.get("id")) for child in root[:2])
    assert "script" not in {element.tag for element in root.iter()}


def test_every_chart_has_ids_of_its_own() -> None:
    ids = [Chart("a", "b").root.get("aria-labelledby") for _ in range(3)]

    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.25"), (1500, "1,500"), (2_500_000, "2.5M"), (3e9, "3G"), (1e-12, "0"), (-0.0, "0"), (-1500, "-1,500")],
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert tick_text(value) == text


def test_long_names_are_shortened_to_fit() -> None:
    assert (shortened("a" * 22), shortened("a" * 23)) == ("a" * 22, "a" * 21 + "…")
