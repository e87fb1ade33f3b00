"""Conflicts in which the user only added lines are merged; all others stay."""

import pytest

from platform_lib.updates.merge import add_lines, merge_conflicts


@pytest.mark.parametrize(
    ("ours", "base", "theirs", "expected"),
    [
        pytest.param("idna pin sklearn", "pin sklearn", "PIN sklearn", "idna PIN sklearn", id="before-a-changed-line"),
        pytest.param("pin idna sklearn", "pin sklearn", "PIN sklearn", "PIN idna sklearn", id="after-a-changed-line"),
        pytest.param("a pin b", "pin", "PIN", "a PIN b", id="on-both-sides"),
        pytest.param("a x b", "a b", "a b NEW", "a x b NEW", id="between-unchanged-lines"),
        pytest.param("end ours", "end", "end theirs", "end theirs ours", id="both-at-the-end"),
        pytest.param("a b ours c", "a b c", "A C", "A C ours", id="inside-a-replaced-block"),
        pytest.param("pin idna", "pin", "PIN idna", "PIN idna", id="the-template-added-the-same"),
        pytest.param("ours", "", "theirs", "theirs ours", id="nothing-before"),
        pytest.param("PIN2 idna", "pin", "PIN", None, id="changed-by-both"),
        pytest.param("b", "a b", "A b", None, id="deleted-by-the-user"),
    ],
)
def test_added_lines_join_the_new_lines_of_the_template(
    ours: str, base: str, theirs: str, expected: str | None
) -> None:
    merged = add_lines(ours.split(), base.split(), theirs.split())
    assert merged == (None if expected is None else expected.split())


def conflict(ours: str, base: str, theirs: str) -> str:
    return f"<<<<<<< before updating\n{ours}||||||| last update\n{base}=======\n{theirs}>>>>>>> after updating\n"


def test_every_conflict_of_a_file_is_merged_and_the_rest_stays() -> None:
    first, second = conflict("a\nmine\n", "a\n", "A\n"), conflict("b\nown\n", "b\n", "B\n")
    text = f"first\n{first}middle\n{second}last\n"
    assert merge_conflicts("Makefile", text) == "first\nA\nmine\nmiddle\nB\nown\nlast\n"


def test_one_conflict_that_needs_a_decision_leaves_the_file_alone() -> None:
    text = conflict("a\nmine\n", "a\n", "A\n") + conflict("changed\n", "b\n", "B\n")
    assert merge_conflicts("Makefile", text) is None


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [("pyproject.toml", "a = 1\nb = 2\n", "a = 3\nb = 4\n"), ("ci.yml", "a: 1\n\tb: 2\n", "a: 3\n")],
    ids=["toml", "yaml"],
)
def test_a_merge_that_no_longer_parses_is_a_conflict(name: str, ours: str, theirs: str) -> None:
    base = ours.splitlines(keepends=True)[0]
    assert merge_conflicts(name, conflict(ours, base, theirs)) is None
    assert merge_conflicts("Makefile", conflict(ours, base, theirs)) is not None
