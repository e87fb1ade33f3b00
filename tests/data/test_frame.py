"""Column types of the frame: the same values, whatever their source."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from platform_lib.data.contract import Column, ColumnType, DataContract
from platform_lib.data.frame import feature_frame, target_values, typed_table, typed_values
from platform_lib.errors import CheckFailed, UsageError

NAN = float("nan")
CONTRACT = DataContract(
    name="t",
    path="data/t.csv",
    task="classification",
    target="y",
    id="id",
    columns={
        "id": Column(type="string"),
        "whole": Column(type="integer"),
        "number": Column(type="number"),
        "flag": Column(type="boolean"),
        "text": Column(type="string"),
        "when": Column(type="datetime"),
        "y": Column(type="string"),
    },
)
DTYPES = {"whole": "float64", "number": "float64", "flag": "float64", "text": "object", "when": "datetime64[us]"}
ROWS: dict[str, list[Any]] = {
    "whole": [1, None, -3, 2**53],
    "number": [0.1, None, 1e-300, -7.0],
    "flag": [True, None, False, True],
    "text": ["a", None, "07", "ü{}"],
    "when": ["2026-01-31", None, "9999-12-31T23:59:59.123456", "1600-02-29T12:00:00+02:00"],
}


def as_strings(values: list[Any]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]


FORMS: dict[str, Callable[[], Any]] = {
    "lists": lambda: ROWS,
    "object-columns": lambda: pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in ROWS.items()}),
    "inferred-columns": lambda: pd.DataFrame(ROWS),
    "texts-as-objects": lambda: pd.DataFrame(
        {name: pd.Series(as_strings(values), dtype=object) for name, values in ROWS.items()}
    ),
    "texts-as-string-dtype": lambda: pd.DataFrame(
        {name: pd.Series(as_strings(values), dtype="string") for name, values in ROWS.items()}
    ),
    "texts-as-categories": lambda: pd.DataFrame(
        {name: pd.Series(as_strings(values), dtype="category") for name, values in ROWS.items()}
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_the_same_values_make_the_same_frame_in_every_form(form: Callable[[], Any]) -> None:
    frame = feature_frame(form(), CONTRACT)

    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES
    assert frame["whole"].tolist()[0::2] == [1.0, -3.0]
    assert frame["number"].tolist()[0::2] == [0.1, 1e-300]
    assert frame["flag"].tolist()[0::2] == [1.0, 0.0]
    assert frame["text"].tolist()[0::2] == ["a", "07"]
    assert frame["when"].tolist()[0] == pd.Timestamp("2026-01-31")
    assert frame["when"].to_numpy()[2:].tolist() == [
        datetime(9999, 12, 31, 23, 59, 59, 123456),
        datetime(1600, 2, 29, 10),
    ]
    assert frame.isna().sum().tolist() == [1] * 5


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_row_converts_the_same_alone_and_in_a_batch(form: Callable[[], Any]) -> None:
    table = form()
    batch = feature_frame(table, CONTRACT)

    for row in range(len(batch)):
        one = (
            {str(name): [value] for name, value in table.iloc[row].items()}
            if isinstance(table, pd.DataFrame)
            else {n: [v[row]] for n, v in table.items()}
        )
        pd.testing.assert_frame_equal(feature_frame(one, CONTRACT), batch.iloc[[row]].reset_index(drop=True))


def test_numbers_in_text_are_parsed_exactly() -> None:
    texts = [repr(value) for value in np.random.default_rng(0).normal(size=1000).tolist()]

    assert typed_values(texts, "a", Column(type="number")).tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2], ["1", "2"]), ([1.0, NAN], ["1", NAN]), ([1.5, 2.0], ["1.5", "2"]), ([np.int64(7), "x"], ["7", "x"])],
    ids=["integers", "integers-with-a-gap", "numbers", "mixed"],
)
def test_a_whole_number_in_a_text_column_has_no_fraction(values: list[Any], expected: list[Any]) -> None:
    typed = typed_values(values, "a", Column(type="string"))

    assert [NAN if value != value else value for value in typed.tolist()] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("kind", "values", "missing"),
    [
        ("number", [float("inf"), "-inf", 1], [True, True, False]),
        ("datetime", [date(2026, 1, 31), pd.Timestamp("2026-01-31"), pd.NaT], [False, False, True]),
        ("boolean", ["true", "FALSE", 1, pd.NA], [False, False, False, True]),
        ("integer", [None, None], [True, True]),
        ("datetime", [None, None], [True, True]),
    ],
    ids=["infinite", "dates", "booleans", "no-number", "no-time"],
)
def test_every_missing_value_is_the_same(kind: ColumnType, values: list[Any], missing: list[bool]) -> None:
    assert pd.isna(typed_values(values, "a", Column(type=kind))).tolist() == missing


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("number", [1, "many"], "row 1: column 'a' is 'many', expected a number."),
        ("integer", ["1", ""], "row 1: column 'a' is '', expected a whole number."),
        ("integer", [10**400], f"row 0: column 'a' is {repr(10**400)[:80]}, expected a whole number."),
        ("boolean", [True, 2], "row 1: column 'a' is 2, expected true or false."),
        (
            "datetime",
            ["2026-01-31", "31.1.2026"],
            "row 1: column 'a' is '31.1.2026', expected an ISO 8601 date or time.",
        ),
        ("datetime", [1.5], "row 0: column 'a' is np.float64(1.5), expected an ISO 8601 date or time."),
    ],
    ids=["number", "empty-text", "too-large", "boolean", "date", "number-as-date"],
)
def test_a_value_that_cannot_be_converted_is_named(kind: ColumnType, values: list[Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        typed_values(values, "a", Column(type=kind))

    assert str(caught.value) == sentence


def test_surrounding_white_space_is_stripped_and_a_blank_text_is_missing() -> None:
    read = typed_values([" a", "a\t", "a b", " ", ""], "a", Column(type="string")).tolist()

    assert read[:3] == ["a", "a", "a b"]
    assert all(value != value for value in read[3:])


MIXED = {
    "repeated": ["Rome", " Rome", None, "", "Pisa\t", float("nan"), "nan"],
    "a number late": [*["Rome"] * 1500, 3],
    "booleans and ones": [True, 1, 1.0, "1"],
    "all missing": [None],
    "blank": ["  "],
}


@pytest.mark.parametrize("values", MIXED.values(), ids=MIXED)
def test_a_long_column_of_texts_converts_like_its_values_alone(values: list[Any]) -> None:
    column = Column(type="string", nullable=True)
    long = values * (3000 // len(values) + 1)
    for given in (long, pd.Series(long, dtype=object)):
        typed = typed_values(given, "city", column).tolist()
        alone = [typed_values([value], "city", column)[0] for value in values]
        expected = [None if value != value else value for value in alone] * (len(long) // len(values))
        assert [None if value != value else value for value in typed] == expected


def test_the_typed_table_has_all_columns_and_the_index_of_the_table() -> None:
    table = pd.DataFrame(ROWS | {"y": list("abab"), "id": [1, 2, 3, 4], "other": 0}, index=[4, 5, 6, 7])

    typed = typed_table(table, CONTRACT)

    assert list(typed) == list(CONTRACT.columns)
    assert typed["id"].tolist() == ["1", "2", "3", "4"]
    assert typed.index.tolist() == [4, 5, 6, 7]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(
        UsageError, match="the table lacks the column 'whole'; the model needs whole, number, flag, text, when"
    ):
        feature_frame({"number": [1]}, CONTRACT)


@pytest.mark.parametrize(
    ("task", "kind", "values", "dtype", "expected"),
    [
        ("classification", "string", ["b", "a"], "object", ["b", "a"]),
        ("classification", "boolean", [True, False], "bool", [True, False]),
        ("classification", "integer", [1.0, 0.0], "int64", [1, 0]),
        ("regression", "integer", ["1", "2"], "float64", [1.0, 2.0]),
        ("regression", "number", [1.5, 2], "float64", [1.5, 2.0]),
    ],
    ids=["text", "boolean", "integer", "integer-regression", "number"],
)
def test_target_values_are_labels_or_numbers(
    task: Any, kind: ColumnType, values: list[Any], dtype: str, expected: list[Any]
) -> None:
    contract = DataContract(name="t", path="t", task=task, target="y", columns={"y": Column(type=kind)})

    truth = target_values(pd.DataFrame({"y": values}), contract)

    assert (str(truth.dtype), truth.tolist()) == (dtype, expected)


def test_a_row_without_a_target_is_refused() -> None:
    contract = DataContract(name="t", path="t", task="classification", target="y", columns={"y": Column(type="string")})

    with pytest.raises(CheckFailed, match="1 row has no value in the target 'y', the first is row 1"):
        target_values(pd.DataFrame({"y": ["a", None]}), contract)
