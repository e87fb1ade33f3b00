"""Dates as people write them are found and read as the calendar has them, and nothing else is."""

from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_lib.data.files.date_text import find_date_format, is_compact_date, iso_dates
from platform_lib.data.files.formats import DateOrder


def column(*texts: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


@pytest.mark.parametrize(
    ("texts", "orders"),
    [
        (("2012/01/01", "2012/1/3 5:06"), (None,)),
        (("2026-01",), (None,)),
        (("1977-Jan",), (None,)),
        (("Jan-1-1995", "Dec 31 2001", "Monday, January 5, 2026"), (None,)),
        (("31-Jan-2020", "1 Sept 2021"), (None,)),
        (("17-08-1984", "01-02-1985"), ("day-first",)),
        (("31.12.99",), ("day-first",)),
        (("05/20/1987", "1/2/1987 12:05 AM"), ("month-first",)),
        (("01/02/2020", "03/04/2021"), ("day-first", "month-first")),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_whole_column_decides_on_the_order(texts: tuple[str, ...], orders: tuple[DateOrder | None, ...]) -> None:
    found = find_date_format(column(*texts, None))

    assert found is not None
    assert found.orders == orders


@pytest.mark.parametrize(
    "texts",
    [
        ("05:30",),
        ("31/02/2020", "30/01/2020"),
        ("2020-13-01",),
        ("0000-00-00", "2020-01-01"),
        ("13/01/2020", "01/13/2020"),
        ("20200101",),
        ("1.5", "2.5"),
        ("march", "april"),
        ("abc",),
    ],
    ids=str,
)
def test_other_texts_are_no_dates(texts: tuple[str, ...]) -> None:
    assert find_date_format(column(*texts)) is None


FORMS: dict[str, tuple[DateOrder | None, str]] = {
    "%Y/%m/%d": (None, "day"),
    "%Y.%m.%d %H:%M:%S": (None, "second"),
    "%d/%m/%Y": ("day-first", "day"),
    "%d.%m.%Y %H:%M": ("day-first", "minute"),
    "%m-%d-%Y": ("month-first", "day"),
    "%m/%d/%Y %I:%M %p": ("month-first", "minute"),
    "%d %B %Y": (None, "day"),
    "%b %d, %Y": (None, "day"),
    "%d-%b-%y": (None, "day"),
    "%Y%m%d": ("compact", "day"),
    "%Y-%b": (None, "month"),
}


@given(
    form=st.sampled_from(sorted(FORMS)),
    times=st.lists(
        st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)).map(lambda time: time.replace(microsecond=0)),
        min_size=1,
        max_size=20,
    ),
)
def test_what_strftime_writes_is_read_back(form: str, times: list[datetime]) -> None:
    order, unit = FORMS[form]
    zero = {"day": 1, "hour": 0, "minute": 0, "second": 0}
    finer = list(zero)[["month", "day", "hour", "minute", "second"].index(unit) :]

    read = iso_dates(column(*(time.strftime(form) for time in times)), order)

    expected = [time.replace(**{part: zero[part] for part in finer}) for time in times]  # type: ignore[arg-type]
    assert [datetime.fromisoformat(text) for text in read.to_pylist()] == expected


def test_unix_time_is_read_and_other_texts_stay() -> None:
    assert iso_dates(column("1640995200", "0.5", None, "soon"), "epoch-seconds").to_pylist() == [
        "2022-01-01T00:00:00.000000",
        "1970-01-01T00:00:00.500000",
        None,
        "soon",
    ]


def test_eight_digits_are_dates_only_if_all_of_many_are() -> None:
    days = [f"2026{month:02d}{day:02d}" for month in range(1, 13) for day in (1, 15, 28)]

    assert is_compact_date(column(*days))
    assert not is_compact_date(column(*days, "20260230"))
    assert not is_compact_date(column(*days[:5]))
