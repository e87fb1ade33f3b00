"""Files that cannot be imported are refused in one sentence, and nothing is written."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from platform_lib.data.imports.plan import ImportPlan, ImportRequest, plan_import
from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import Project
from tests.data.conftest import bare_project, snapshot

GOOD = "a,y\n1,p\n2,q\n3,p\n4,q\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty, expected a table with a header row and data rows."),
        ("\n\n", "has only blank lines, expected a header row and data rows."),
        ("a,y\n", "has a header but no rows; add rows below it."),
        ("a,y\n1,p\n", "has 1 row with a target, expected at least two; add rows."),
        (
            "a,Y\n1,p\n2,q\n",
            "--target names the column 'y', which {file} does not have; it has a, Y. Did you mean 'Y'?",
        ),
        (
            "a,y\n1,\n2,NA\n",
            "the target 'y' has no value in any row of {file}; choose another with --target, or fill it in.",
        ),
        (
            "a,y\n1,p\n2,p\n",
            "the target 'y' has only one value in {file}, 'p': there is nothing to learn; choose another with --target.",
        ),
        ("a,a,y\n1,2,p\n2,3,q\n", "columns 1 and 2 are all named 'a', expected each name once. Rename one."),
        (
            "a, ,y\n0,1,p\n1,2,q\n",
            "column 2 has a blank name, expected a name for each column. If the table begins below a title, remove the lines above its header. Name it or remove it.",
        ),
        (
            "a,y\n1,p\n2,q\n".encode("utf-16"),
            "is not UTF-8: line 1 contains the byte 0xff. Save it as UTF-8; in a spreadsheet, choose 'CSV UTF-8'.",
        ),
        (
            b"a,y\n1,p\n2,caf\xe9\n",
            "is not UTF-8: line 3 contains the byte 0xe9. Save it as UTF-8; in a spreadsheet, choose 'CSV UTF-8'.",
        ),
        (
            "a,y\n1,p\n2,q,r\n3,p\n",
            "line 3 has 3 values, expected 2 as in the header. Fix the line; a value that contains the separator needs double quotes around it.",
        ),
        (
            'a,b,y\n"two\nlines",1,p\n2,q\n',
            "line 4 has 2 values, expected 3 as in the header. Fix the line; a value that contains the separator needs double quotes around it.",
        ),
        (
            "a,y\n1,p\n2,p\n3,q\n",
            "the class 'q' of the target 'y' has a single row, expected two or more: to learn from and to test on. "
            "Add rows, remove the row, or merge the class with another.",
        ),
        (
            "a,y\n1,1.5\n2,2.5\n",
            "the target 'y' has 2 different values, such as '1.5', but this project's task is classification, which takes up to 200 classes and "
            "no fractions. Choose another with --target, or start a project with task regression (task in [tool.mlp] says which this is).",
        ),
        (
            "a,y\n" + "".join(f"{i},{i // 2}\n" for i in range(402)),
            "the target 'y' has 201 different values, such as '0', but this project's task is classification, which takes up to 200 classes and "
            "no fractions. Choose another with --target, or start a project with task regression (task in [tool.mlp] says which this is).",
        ),
        (
            "a,y\n1,2026-01-01\n2,2026-01-02\n",
            "the target 'y' holds dates, but this project's task is classification, which predicts a class; choose another with --target.",
        ),
        ("y\np\nq\np\nq\n", "has no column to learn from other than target, id and time; add at least one."),
        (
            "b,${a},y\n1,1,p\n2,2,q\n",
            "column 2 is named '${a}', but '${' in a name would be read as a reference by Hydra. Rename it.",
        ),
        (
            'b,"two\nlines",y\n1,1,p\n2,2,q\n',
            "column 2 is named 'two\\nlines', which contains a character that cannot be printed. Rename it.",
        ),
        (
            "b,???,y\n1,1,p\n2,2,q\n",
            "column 2 is named '???', which Hydra would read as a value to be filled in. Rename it.",
        ),
    ],
    ids=[
        "empty",
        "blank-lines",
        "header-only",
        "one-row",
        "no-such-target",
        "empty-target",
        "one-value",
        "duplicate-names",
        "blank-name",
        "utf-16",
        "latin-1",
        "ragged",
        "ragged-after-quoted-newline",
        "single-row-class",
        "fractions-as-classes",
        "too-many-classes",
        "dates-as-classes",
        "no-feature",
        "interpolation",
        "newline-in-name",
        "mandatory",
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(
    bare: Project, plan: Callable[..., ImportPlan], tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    before = snapshot(bare.root)

    with pytest.raises(UsageError) as caught:
        plan(content)

    assert str(caught.value).endswith(
        sentence.format(file=tmp_path / "table.csv") if "{file}" in sentence else sentence
    )
    assert "\n" not in str(caught.value)
    assert snapshot(bare.root) == before


@pytest.mark.parametrize(
    ("values", "kind"),
    [(["p", "q", "p", "q"], "string, such as 'p'"), ([True, False, True, False], "boolean, such as 'True'")],
    ids=["text", "boolean"],
)
def test_labels_do_not_fit_a_regression(tmp_path: Path, values: list[object], kind: str) -> None:
    project = bare_project(tmp_path / "project", task="regression")
    parquet.write_table(pa.table({"a": [1, 2, 3, 4], "y": values}), tmp_path / "t.parquet")

    with pytest.raises(UsageError) as caught:
        plan_import(project, ImportRequest(file=tmp_path / "t.parquet", target="y"))

    assert str(caught.value) == (
        f"the target 'y' is of type {kind}, but this project's task is regression, which predicts a number. "
        "Choose another with --target, or start a project with task classification (task in [tool.mlp] says which this is)."
    )


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"target": None}, "--target is missing: name the column of table.csv that is to be predicted."),
        ({"id": "key"}, "--id names the column 'key', which {file} does not have; it has k, a, t, y."),
        (
            {"id": "y"},
            "the column 'y' is given for more than one of --target, --id and --time; name a different column for each.",
        ),
        (
            {"id": "k"},
            "the id column 'k' has no value in 1 row; fill it in, remove the rows, or choose another with --id.",
        ),
        (
            {"time": "a"},
            "the time column 'a' is of type integer, such as 1, expected ISO 8601 dates or times such as 2026-01-31 or 2026-01-31T12:00:00.",
        ),
        (
            {"name": "My Table"},
            "--name is 'My Table', expected 1 to 60 lowercase letters, digits, dashes and underscores, starting with a letter, such as churn-2026.",
        ),
        (
            {"name": "null"},
            "--name is 'null', expected 1 to 60 lowercase letters, digits, dashes and underscores, starting with a letter, such as churn-2026.",
        ),
        (
            {"mode": "append"},
            "there is no table 'table' to append to; import it first without --append, or name another with --name.",
        ),
    ],
    ids=[
        "no-target",
        "no-such-id",
        "two-roles",
        "id-with-gap",
        "time-of-numbers",
        "name",
        "reserved-name",
        "append-to-nothing",
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(
    bare: Project, write: Callable[..., Path], request_: dict[str, str], sentence: str
) -> None:
    file = write("k,a,t,y\nk1,1,2026-01-01,p\n,2,2026-01-02,q\nk3,3,2026-01-03,p\nk4,4,2026-01-04,q\n")

    with pytest.raises(UsageError) as caught:
        plan_import(bare, ImportRequest(**({"file": file, "target": "y"} | request_)))  # type: ignore[arg-type]

    assert str(caught.value) == sentence.format(file=file)


def test_a_missing_file_is_named(bare: Project) -> None:
    with pytest.raises(NotFound, match=r"missing\.csv does not exist; give a CSV or Parquet file"):
        plan_import(bare, ImportRequest(file=bare.root / "missing.csv", target="y"))


def test_a_folder_is_not_a_table(bare: Project) -> None:
    with pytest.raises(UsageError, match="is a folder, expected one CSV or Parquet file"):
        plan_import(bare, ImportRequest(file=bare.root, target="y", name="t"))


@pytest.mark.parametrize("name", ["table.xlsx", "table.json", "table"], ids=str)
def test_another_suffix_is_refused(plan: Callable[..., ImportPlan], name: str) -> None:
    with pytest.raises(UsageError, match=r"expected one of \.csv, \.tsv, \.parquet, \.pq: save it as one of these"):
        plan(GOOD, file_name=name)


def test_a_file_that_is_not_really_parquet_is_refused(plan: Callable[..., ImportPlan]) -> None:
    with pytest.raises(UsageError, match=r"is not a Parquet file: .* Save the table as Parquet again, or as CSV"):
        plan(GOOD, file_name="table.parquet")


def test_nested_parquet_columns_are_refused(bare: Project, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": [[1], [2]], "y": ["p", "q"]}), tmp_path / "t.parquet")

    with pytest.raises(UsageError, match=r"column 'a' holds list<.*>, expected numbers, texts, booleans or times"):
        plan_import(bare, ImportRequest(file=tmp_path / "t.parquet", target="y"))


def test_a_file_name_that_is_not_a_valid_table_name_asks_for_one(plan: Callable[..., ImportPlan]) -> None:
    with pytest.raises(UsageError, match=r"no table name can be derived from '数据\.csv'; give one with --name"):
        plan(GOOD, file_name="数据.csv")


@pytest.mark.parametrize(
    ("file_name", "name"),
    [("Churn 2026 (final).csv", "churn-2026-final"), ("a_b-c.csv", "a_b-c"), ("x__y.csv", "x_y")],
    ids=["spaces", "as-is", "doubled"],
)
def test_the_table_is_named_after_the_file(plan: Callable[..., ImportPlan], file_name: str, name: str) -> None:
    assert plan(GOOD, file_name=file_name).contract.name == name
