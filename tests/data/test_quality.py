"""Validate a table against its contract: each violation names column, rows, examples and remedy."""

from typing import Any

import msgspec
import pandas as pd
import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.data.quality import check_table, violations
from platform_lib.errors import CheckFailed

CONTRACT = DataContract(
    name="houses",
    path="data/houses.parquet",
    task="regression",
    target="price",
    columns={
        "rooms": Column(type="integer", min=1, max=9),
        "area": Column(type="number", nullable=True, min=10.5),
        "kind": Column(type="string", nullable=True, allowed=["flat", "house"]),
        "sold": Column(type="datetime", nullable=True),
        "new": Column(type="boolean"),
        "price": Column(type="number"),
    },
)
GOOD: dict[str, list[Any]] = {
    "rooms": [1, 9, 3],
    "area": [10.5, None, 99],
    "kind": ["flat", None, "house"],
    "sold": ["2026-01-31", None, "1999-01-01T12:00:00"],
    "new": [True, False, True],
    "price": [1.0, 2.0, 3.0],
}


@pytest.mark.parametrize("dtype", [object, "string"], ids=["objects", "strings"])
def test_a_conforming_table_is_returned_typed(dtype: Any) -> None:
    table = pd.DataFrame(GOOD | {"other": [1, 2, 3]})

    typed = check_table(table.astype(dtype), CONTRACT)

    assert [str(kind) for kind in typed.dtypes] == [
        "float64",
        "float64",
        "object",
        "datetime64[us]",
        "float64",
        "float64",
    ]
    assert list(typed) == list(CONTRACT.columns)


@pytest.mark.parametrize(
    ("column", "values", "finding"),
    [
        (
            "rooms",
            [0, 3, 10],
            [
                "column 'rooms': below min 1 in 1 row, such as 0 in row 0",
                "column 'rooms': above max 9 in 1 row, such as 10 in row 2",
            ],
        ),
        ("rooms", [1, 2.5, 3.5], ["column 'rooms': not a whole number in 2 rows, such as 2.5 in row 1, 3.5 in row 2"]),
        ("rooms", ["1", "two", "3"], ["column 'rooms': not a whole number in 1 row, such as 'two' in row 1"]),
        ("rooms", [1, None, None], ["column 'rooms': no value, though not nullable, in 2 rows, such as row 1, row 2"]),
        ("area", [10.4, 11, 12], ["column 'area': below min 10.5 in 1 row, such as 10.4 in row 0"]),
        (
            "kind",
            ["flat", "tent", "tent"],
            ["column 'kind': not among the allowed values in 2 rows, such as 'tent' in row 1, 'tent' in row 2"],
        ),
        (
            "sold",
            ["soon", None, None],
            ["column 'sold': not an ISO 8601 date or time in 1 row, such as 'soon' in row 0"],
        ),
        ("new", [True, None, "maybe"], ["column 'new': not true or false in 1 row, such as 'maybe' in row 2"]),
        ("price", [1, None, 3], ["column 'price': no value, though not nullable, in 1 row, such as row 1"]),
    ],
    ids=["range", "fraction", "text", "gaps", "below", "category", "date", "boolean", "target"],
)
def test_a_violation_is_named_with_rows_and_examples(column: str, values: list[Any], finding: list[str]) -> None:
    table = pd.DataFrame(GOOD | {column: pd.Series(values, dtype=object)})

    _, found = violations(table.set_axis([7, 8, 9]), CONTRACT)

    assert [str(each) for each in found] == finding


@pytest.mark.parametrize("mark", [{"log": False}, {"sensitive": True}], ids=str)
def test_a_violation_of_a_private_column_names_rows_only(mark: dict[str, bool]) -> None:
    columns = {name: msgspec.structs.replace(column, **mark) for name, column in CONTRACT.columns.items()}
    table = pd.DataFrame(GOOD | {"kind": ["tent"] * 3, "rooms": ["one", "two", "3"]})

    _, found = violations(table, msgspec.structs.replace(CONTRACT, columns=columns))

    assert [str(each) for each in found] == [
        "column 'rooms': not a whole number in 2 rows, such as row 0, row 1",
        "column 'kind': not among the allowed values in 3 rows, such as row 0, row 1, row 2",
    ]


def test_a_missing_column_is_named() -> None:
    _, found = violations(pd.DataFrame(GOOD).drop(columns="area"), CONTRACT)

    assert [str(each) for each in found] == ["column 'area' is missing from the table"]


def test_a_violation_includes_a_remedy() -> None:
    with pytest.raises(CheckFailed) as caught:
        check_table(pd.DataFrame(GOOD | {"rooms": [0, 1, 2]}), CONTRACT)

    assert str(caught.value) == (
        "the table 'houses' breaks its contract: column 'rooms': below min 1 in 1 row, such as 0 in row 0. "
        "Fix the data; or, if the data is right, edit conf/data/houses.yaml. Rows count from 0."
    )


def test_an_edited_contract_lets_the_value_pass() -> None:
    columns = CONTRACT.columns | {"rooms": Column(type="integer")}
    contract = DataContract(name="houses", path="p", task="regression", target="price", columns=columns)

    assert check_table(pd.DataFrame(GOOD | {"rooms": [0, 1, 200]}), contract)["rooms"].tolist() == [0, 1, 200]


def test_a_table_without_rows_violates_every_contract() -> None:
    with pytest.raises(CheckFailed, match="the table has no rows"):
        check_table(pd.DataFrame(GOOD).iloc[:0], CONTRACT)


def test_allowed_numbers_and_booleans_are_compared_as_typed() -> None:
    columns = {"n": Column(type="integer", allowed=[1, 2]), "y": Column(type="boolean", allowed=[True])}
    contract = DataContract(name="t", path="p", task="classification", target="y", columns=columns)

    _, found = violations(pd.DataFrame({"n": ["1", "3"], "y": ["true", "false"]}), contract)

    assert [str(each) for each in found] == [
        "column 'n': not among the allowed values in 1 row, such as 3 in row 1",
        "column 'y': not among the allowed values in 1 row, such as 0 in row 1",
    ]
