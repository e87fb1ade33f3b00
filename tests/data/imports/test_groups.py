"""Columns whose values own several rows are proposed as groups."""

from collections.abc import Callable

import pytest

from platform_lib.data.imports.plan import ImportPlan


def visits(column: str, owners: int, each: int, target: Callable[[int, int], str]) -> str:
    """A CSV in which every owner has some rows."""
    rows = [f"{owner + 100},{visit},{target(owner, visit)}" for owner in range(owners) for visit in range(each)]
    return "\n".join([f"{column},visit,y", *rows]) + "\n"


def by_owner(owner: int, visit: int) -> str:
    del visit
    return "pq"[owner * 7 % 11 % 2]


def by_visit(owner: int, visit: int) -> str:
    return "pq"[(owner * 3 + visit * 5) % 7 % 2]


@pytest.mark.parametrize("column", ["customer", "userId", "patient_no", "unitid", "account", "Subject ID"])
def test_a_column_named_as_an_owner_of_several_rows_is_proposed_with_the_command(
    plan: Callable[..., ImportPlan], column: str
) -> None:
    warnings = plan(visits(column, 40, 5, by_visit)).report.warnings

    assert len(warnings) == 1
    assert f"{column!r} has several rows per value (40 values in 200 rows)" in warnings[0]
    setting = f"split.column={column}" if " " not in column else f"'split.column=\"{column}\"'"
    assert f"`mlp train split=group {setting}`" in warnings[0]


def test_texts_whose_rows_share_the_target_are_proposed_under_any_name(plan: Callable[..., ImportPlan]) -> None:
    content = visits("code", 60, 4, by_owner).replace("\n1", "\nC1")

    assert "whose targets agree in 100% of the cases" in plan(content).report.warnings[0]
    assert plan(visits("code", 60, 4, by_visit).replace("\n1", "\nC1")).report.warnings == ()


@pytest.mark.parametrize(
    ("column", "owners", "each"),
    [("customer", 10, 20), ("customer", 100, 1), ("age", 40, 5), ("paid", 40, 5)],
    ids=["few-values", "one-row-each", "a-number", "ends-in-id-but-is-none"],
)
def test_other_columns_are_not(plan: Callable[..., ImportPlan], column: str, owners: int, each: int) -> None:
    assert plan(visits(column, owners, each, by_visit)).report.warnings == ()


def test_with_an_id_nothing_is_proposed_for_it(plan: Callable[..., ImportPlan]) -> None:
    assert plan(visits("customer", 40, 5, by_visit), id="customer").report.warnings == ()
