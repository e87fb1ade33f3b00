"""Row batches as tuples and as columns hold the same rows, alone and joined."""

import pytest

from platform_lib.data.rows import ColumnRows, Rows, columns_of, joined

FEATURES = ("a", "b")
TUPLES: list[tuple[object, ...]] = [(1.0, "x"), (None, "y")]
COLUMNS = ColumnRows([[3.0], ["z"]])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([TUPLES], TUPLES),
        ([COLUMNS], [(3.0, "z")]),
        ([TUPLES, TUPLES], TUPLES * 2),
        ([COLUMNS, COLUMNS], [(3.0, "z")] * 2),
        ([TUPLES, COLUMNS], [*TUPLES, (3.0, "z")]),
        ([COLUMNS, TUPLES, COLUMNS], [(3.0, "z"), *TUPLES, (3.0, "z")]),
    ],
    ids=["tuples", "columns", "two of tuples", "two of columns", "tuples and columns", "in turn"],
)
def test_parts_are_joined_in_order(parts: list[Rows], expected: list[tuple[object, ...]]) -> None:
    rows = joined(parts)
    assert len(rows) == len(expected)
    assert list(rows) == expected
    assert {name: list(values) for name, values in columns_of(rows, FEATURES).items()} == {
        "a": [row[0] for row in expected],
        "b": [row[1] for row in expected],
    }


def test_a_column_count_that_differs_from_the_features_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        columns_of(COLUMNS, ("a", "b", "c"))
