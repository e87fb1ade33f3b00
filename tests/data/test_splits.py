"""The hold-out: a held-out row stays held out."""

import math
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_lib.data.contract import Column, ColumnType, DataContract
from platform_lib.data.splits import holdout_mask, numbered, occurrences, row_hashes
from platform_lib.errors import UsageError


def contract(key: list[str] | None = None, **columns: ColumnType) -> DataContract:
    return DataContract(
        name="t",
        path="t",
        task="regression",
        target="y",
        key=key or [],
        columns={**{n: Column(type=t) for n, t in columns.items()}, "y": Column(type="number")},
    )


def numbers(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(rows), "y": np.arange(rows) / 7})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 1, 0xB81F534F11038AB2),
        ("number", 0.5, 0x84FA4E16E91C3DA9),
        ("number", None, 0xF7613261476066FF),
        ("boolean", True, 0xB81F534F11038AB2),
        ("string", "Gentoo", 0x7748FC62314DA67F),
        ("string", "größe {1}", 0x035723E2E50CD6C8),
        ("string", None, 0x925F92CC012736A0),
        ("datetime", "2026-01-31", 0x39DED59DF6AD2C6F),
    ],
    ids=["integer", "number", "missing-number", "boolean", "text", "non-latin-text", "missing-text", "datetime"],
)
def test_the_hash_of_a_value_never_changes(kind: ColumnType, value: Any, expected: int) -> None:
    # If this fails, an update would train on rows that were held out before: revert the change, do not adjust the
    # numbers.
    hashes = row_hashes([(pd.Series([value], dtype=object), Column(type=kind))], 1, salt="")

    assert hashes.tolist() == [expected]


def test_an_entire_split_never_changes() -> None:
    table = pd.DataFrame({"a": range(40), "b": [f"text {i % 7}" for i in range(40)], "y": [i / 3 for i in range(40)]})

    mask = holdout_mask(table, contract(a="integer", b="string"), salt="s", test_share=0.25)

    assert np.flatnonzero(mask).tolist() == [0, 1, 4, 12, 16, 18, 20, 25, 29, 37, 38]


def test_a_split_of_separate_rows_never_changes() -> None:
    table = pd.DataFrame({"a": [i % 3 for i in range(40)], "y": [i / 3 for i in range(40)]})
    by = msgspec.structs.replace(contract(key=["a"], a="integer"), repeats="separate")

    assert np.flatnonzero(holdout_mask(table, by)).tolist() == [5, 6, 13, 23, 32, 37, 39]


def test_separate_rows_of_which_none_repeats_fall_where_rows_kept_together_do() -> None:
    by = contract(key=["a"], a="integer")
    separate = msgspec.structs.replace(by, repeats="separate")

    assert holdout_mask(numbers(500), separate).tolist() == holdout_mask(numbers(500), by).tolist()


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_a_row_is_numbered_by_the_equal_rows_before_it(values: list[int]) -> None:
    expected = [values[:place].count(value) for place, value in enumerate(values)]

    assert occurrences(np.array(values, dtype=np.uint64)).tolist() == expected
    assert len(set(numbered(np.array(values, dtype=np.uint64)).tolist())) == len(values)


VALUES = st.lists(
    st.tuples(st.integers(-1000, 1000), st.text(max_size=5), st.floats(allow_nan=True, allow_infinity=False)),
    min_size=2,
    max_size=60,
)


def hashes_of(table: pd.DataFrame) -> list[int]:
    columns = [
        (table["a"], Column(type="integer")),
        (table["b"], Column(type="string")),
        (table["c"], Column(type="number")),
    ]
    return [int(value) for value in row_hashes(columns, len(table), salt="")]


@settings(max_examples=60, deadline=None)
@given(rows=VALUES, data=st.data())
def test_a_rows_side_does_not_depend_on_other_rows(rows: list[tuple[int, str, float]], data: st.DataObject) -> None:
    table = pd.DataFrame(rows, columns=["a", "b", "c"])
    expected = hashes_of(table)
    order = data.draw(st.permutations(range(len(rows))))
    some = order[: data.draw(st.integers(1, len(rows)))]

    assert hashes_of(table.iloc[some]) == [expected[place] for place in some]


@settings(max_examples=40, deadline=None)
@given(rows=VALUES)
def test_a_missing_value_that_turns_integers_into_floats_moves_no_other_row(rows: list[tuple[int, str, float]]) -> None:
    table = pd.DataFrame(rows, columns=["a", "b", "c"])
    grown = pd.concat([table, pd.DataFrame([(None, None, None)], columns=["a", "b", "c"])], ignore_index=True)

    assert hashes_of(grown)[: len(rows)] == hashes_of(table)


@pytest.mark.parametrize(
    "form",
    [
        lambda t: t.astype(object),
        lambda t: t.astype({"a": "float64"}),
        lambda t: t.astype(str),
        lambda t: t.assign(b=t["b"].astype("category"), a=t["a"].astype("Int64")),
        lambda t: t.assign(b=t["b"].astype("string")),
    ],
    ids=["objects", "floats", "texts", "category", "string-dtype"],
)
def test_the_dtype_of_a_column_moves_no_row(form: Any) -> None:
    table = pd.DataFrame({"a": range(200), "b": [f"k{i % 9}" for i in range(200)], "y": [i / 8 for i in range(200)]})
    by = contract(a="integer", b="string")

    assert holdout_mask(form(table), by).tolist() == holdout_mask(table, by).tolist()


def test_no_row_moves_when_the_table_grows() -> None:
    by = contract(a="integer")
    before = holdout_mask(numbers(5000), by)

    after = holdout_mask(numbers(5500).sample(frac=1, random_state=0), by)

    held_before = set(np.flatnonzero(before).tolist())
    held_after = set(numbers(5500).sample(frac=1, random_state=0)["a"][after].tolist())
    assert held_before == {row for row in held_after if row < 5000}


def test_duplicate_rows_are_on_the_same_side() -> None:
    table = pd.concat([numbers(500), numbers(500)], ignore_index=True)

    mask = holdout_mask(table, contract(a="integer"))

    assert mask[:500].tolist() == mask[500:].tolist()


@pytest.mark.parametrize("salt", ["", "another", "ü"])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_held_out_share_is_right_within_sampling_error(share: float, salt: str) -> None:
    rows = 20_000

    held = int(holdout_mask(numbers(rows), contract(a="integer"), test_share=share, salt=salt).sum())

    assert abs(held - rows * share) < 4 * math.sqrt(rows * share * (1 - share))


def test_a_larger_share_includes_the_rows_of_a_smaller_one() -> None:
    by = contract(a="integer")

    assert not (
        holdout_mask(numbers(1000), by, test_share=0.1) & ~holdout_mask(numbers(1000), by, test_share=0.3)
    ).any()


def test_two_salts_give_independent_splits() -> None:
    by = contract(a="integer")

    both = int(
        (
            holdout_mask(numbers(20_000), by, test_share=0.5, salt="a")
            & holdout_mask(numbers(20_000), by, test_share=0.5, salt="b")
        ).sum()
    )

    assert abs(both - 5000) < 4 * math.sqrt(20_000 * 0.25 * 0.75)


def test_only_the_key_determines_the_side() -> None:
    table = numbers(300)
    by = contract(key=["a"], a="integer", b="string")

    assert holdout_mask(table.assign(b="x", y=0.0), by).tolist() == holdout_mask(table.assign(b="z"), by).tolist()


def test_the_order_of_the_key_moves_no_row() -> None:
    table = numbers(300).assign(b="x")

    one, other = (
        holdout_mask(table, contract(key=key, a="integer", b="string")).tolist() for key in (["a", "b"], ["b", "a"])
    )

    assert one == other


def test_a_group_is_never_split() -> None:
    table = numbers(3000).assign(
        g=pd.Series([f"group {i % 100}" if i % 50 else None for i in range(3000)], dtype=object)
    )

    mask = holdout_mask(table, contract(a="integer", g="string"), method="group", column="g")

    sides = pd.Series(mask).groupby(table["g"], dropna=False).nunique()
    assert sides.tolist() == [1] * len(sides)


@pytest.mark.parametrize(
    ("cutoff", "held"),
    [
        ("2026-01-03", [False, False, True, True]),
        ("2026-01-03T00:00:00.000001", [False, False, False, True]),
        ("2026-01-03T02:00:00+02:00", [False, False, True, True]),
    ],
    ids=["date", "just-after", "zone"],
)
def test_rows_at_or_after_the_cutoff_are_held_out(cutoff: str, held: list[bool]) -> None:
    table = pd.DataFrame({"t": ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"], "y": [1, 2, 3, 4]})

    assert holdout_mask(table, contract(t="datetime"), method="time", column="t", cutoff=cutoff).tolist() == held


TIMES = pd.DataFrame({"a": [1, 2, 3], "t": ["2026-01-01", None, "2026-01-03"], "y": [1, 2, 3]})


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"method": "group"}, "the group split needs split.column set to one of a, t, y."),
        (
            {"method": "group", "column": "city"},
            "the group split names the column 'city', but the columns are a, t, y.",
        ),
        ({"method": "time"}, "the time split needs split.column, or time in the contract, set to one of a, t, y."),
        (
            {"method": "time", "column": "a", "cutoff": "2026-01-01"},
            "the time split needs a datetime column, but 'a' is of type integer; set split.column to one that is.",
        ),
        (
            {"method": "time", "column": "t", "cutoff": "soon"},
            "split.cutoff is 'soon', expected an ISO 8601 date or time such as 2026-01-31.",
        ),
        (
            {"method": "time", "column": "t"},
            "split.cutoff is None, expected an ISO 8601 date or time such as 2026-01-31.",
        ),
        (
            {"method": "time", "column": "t", "cutoff": "2026-01-02"},
            "1 row has no value in the time column 't', so a time split cannot place it. Fill it in, or use another split.",
        ),
        ({"test_share": 1.0}, "split.test_share is 1.0, expected a share between 0 and 1 such as 0.2."),
        (
            {"test_share": 1e-9},
            "the hold-out of the split would be empty: all 3 rows fall on the other side. Use more rows, a larger share, or another split.",
        ),
        (
            {"test_share": 1 - 1e-9},
            "the training side of the split would be empty: all 3 rows fall on the other side. Use more rows, a smaller share, or another split.",
        ),
        ({"method": "dice"}, "split.method is 'dice', expected hash, group or time."),
    ],
    ids=[
        "no-group",
        "wrong-group",
        "no-time",
        "no-datetime",
        "no-date",
        "no-cutoff",
        "gap",
        "share",
        "empty-holdout",
        "empty-training",
        "method",
    ],
)
def test_an_invalid_split_setting_is_refused_in_one_sentence(setting: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        holdout_mask(TIMES, contract(a="integer", t="datetime"), **setting)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("number", 0.0, -0.0),
        ("integer", 1, 1.0),
        ("number", 5, "5.0"),
        ("datetime", "2026-01-31", "2026-01-31T01:00:00+01:00"),
    ],
)
def test_equal_values_have_equal_hashes_however_written(kind: ColumnType, one: Any, other: Any) -> None:
    hashes = row_hashes([(pd.Series([one, other], dtype=object), Column(type=kind))], 2, salt="")

    assert hashes[0] == hashes[1]
