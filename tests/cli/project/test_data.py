"""`mlp data`: its output, its exit codes, and that a refusal leaves the disk unchanged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.cli import main
from platform_lib.settings import Project
from tests.conftest import run_mlp
from tests.data.conftest import bare, snapshot, write

__all__ = ["bare", "write"]  # fixtures

TABLE = "id,amount,kind,y\n" + "".join(f"{i},{i / 4},{'ab'[i % 2]},{'pq'[i // 2 % 2]}\n" for i in range(24))


@pytest.fixture
def mlp(
    bare: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`mlp("data", "check")`: exit code, stdout and stderr of the command run in this process, in the project."""
    monkeypatch.chdir(bare.root)

    def run(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(list(args))
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return run


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_an_import_prints_what_it_inferred_and_why(
    mlp: Callable[..., tuple[int, str, str]], write: Callable[..., Path]
) -> None:
    code, out, err = mlp("data", "import", str(write(TABLE)), "--target", "y", "--id", "id")

    assert code == 0
    assert lines(out) == [
        "table.csv: 24 rows",
        "column role type missing values why",
        "id id integer 0 0 … 23 all are whole numbers",
        "amount feature number 0 0 … 5.75 all are numbers",
        "kind feature string 0 a, b text",
        "y target string 0 p, q text; 2 classes: p 12, q 12",
        "Wrote data/table.parquet (tracked by DVC) and conf/data/table.yaml; selected in conf/train.yaml.",
        "Next: review conf/data/table.yaml, then run `git add -A`, `git commit` and `mlp train`. `mlp data push` "
        "shares the table.",
    ]
    assert lines(err) == ["reading table.csv", "writing data/table.parquet"]


def test_a_warning_goes_to_stderr(mlp: Callable[..., tuple[int, str, str]], write: Callable[..., Path]) -> None:
    with_other_ids = TABLE.replace("\n0,", "\n700,", 1)
    _, _, err = mlp("data", "import", str(write(with_other_ids)), "--target", "y")

    assert lines(err)[2] == (
        "warning: 'id' looks like an identifier: all 24 values differ. It is a feature now; if it only names the rows, "
        'import again with --id "id" --replace, or leave it out with --column id:ignore.'
    )


def test_a_dry_run_prints_the_report_and_writes_nothing(
    mlp: Callable[..., tuple[int, str, str]], bare: Project, write: Callable[..., Path]
) -> None:
    before = snapshot(bare.root)

    code, out, _ = mlp("data", "import", str(write(TABLE)), "--target", "y", "--column", "amount:string", "--dry-run")

    assert code == 0
    assert "amount feature string 0 24 different texts as --column amount:string says" in lines(out)
    assert lines(out)[-1] == "Nothing was written, because of --dry-run."
    assert snapshot(bare.root) == before


def test_a_second_import_shows_the_difference_and_asks(
    mlp: Callable[..., tuple[int, str, str]], bare: Project, write: Callable[..., Path]
) -> None:
    mlp("data", "import", str(write(TABLE)), "--target", "y", "--id", "id")
    before = snapshot(bare.root)

    code, out, err = mlp("data", "import", str(write(TABLE.replace(",a,", ",c,") + "24,100,b,p\n")))

    assert code == 2
    assert lines(out) == [
        "The table 'table' already exists. table.csv would change:",
        "rows: 24 → 25",
        "id: range 0 … 23 → 0 … 24",
        "amount: range 0 … 5.75 → 0 … 100",
        "kind: new values c",
        "kind: values no longer there a",
    ]
    assert lines(err)[-1] == (
        "error: the table 'table' already exists, so nothing was changed. "
        "Use --replace to replace it, --append to append the rows, or another --name."
    )
    assert snapshot(bare.root) == before


def test_append_adds_rows_and_replace_replaces_them(
    mlp: Callable[..., tuple[int, str, str]], write: Callable[..., Path]
) -> None:
    mlp("data", "import", str(write(TABLE)), "--target", "y", "--id", "id")

    appended = mlp(
        "data", "import", str(write("id,amount,kind,y\n24,100,c,p\n", "more.csv")), "--name", "table", "--append"
    )
    replaced = mlp("data", "import", str(write(TABLE)), "--replace")

    assert (appended[0], replaced[0]) == (0, 0)
    assert lines(appended[1])[0] == "more.csv: 25 rows"
    assert "- kind: new values c." in lines(appended[1])
    assert lines(replaced[1])[0] == "table.csv: 24 rows"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("", []),
        ("id,y\n", []),
        ("id,z\n1,p\n2,q\n", []),
        ("id,id,y\n1,2,p\n2,3,q\n", []),
        ("id,y\n1,p\n2,q,r\n", []),
        (TABLE, ["--id", "nothing"]),
        (TABLE, ["--name", "Bad Name"]),
        (TABLE, ["--append"]),
    ],
    ids=[
        "empty",
        "header-only",
        "no-target",
        "duplicate-names",
        "ragged",
        "no-such-id",
        "bad-name",
        "append-to-nothing",
    ],
)
def test_a_refused_import_prints_one_sentence_exits_2_and_leaves_the_disk_unchanged(
    mlp: Callable[..., tuple[int, str, str]],
    bare: Project,
    write: Callable[..., Path],
    content: str,
    options: list[str],
) -> None:
    file = write(content)
    before = snapshot(bare.root)

    code, out, err = mlp("data", "import", str(file), "--target", "y", *options)

    assert (code, out) == (2, "")
    assert [line.startswith("error: ") for line in err.splitlines()] == [False] * (len(err.splitlines()) - 1) + [True]
    assert snapshot(bare.root) == before


def test_a_missing_file_exits_2(mlp: Callable[..., tuple[int, str, str]], bare: Project) -> None:
    before = snapshot(bare.root)

    code, _, err = mlp("data", "import", "nowhere.csv", "--target", "y")

    assert (code, lines(err)[-1]) == (2, "error: nowhere.csv does not exist; give a CSV or Parquet file.")
    assert snapshot(bare.root) == before


def test_check_prints_each_column_and_exits_1_if_one_violates_the_contract(
    mlp: Callable[..., tuple[int, str, str]], bare: Project, write: Callable[..., Path]
) -> None:
    mlp("data", "import", str(write(TABLE)), "--target", "y", "--id", "id")
    good = mlp("data", "check")
    contract = bare.conf_dir / "data" / "table.yaml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("max: 5.75", "max: 5.5"), encoding="utf-8")

    bad = mlp("data", "check", "table")

    assert (good[0], lines(good[1])[-1]) == (0, "The table matches its contract conf/data/table.yaml.")
    assert bad[0] == 1
    assert lines(bad[1])[3] == "amount feature number 0 0 … 5.5 above max 5.5 in 1 row, such as 5.75 in row 23"
    assert lines(bad[2])[-1] == (
        "error: the table 'table' violates its contract in 1 way. Fix the data; if the data is right, edit "
        "conf/data/table.yaml."
    )


def test_check_without_a_table_says_how_to_import_one(mlp: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = mlp("data", "check")

    assert (code, lines(err)[-1]) == (
        2,
        "error: no table is selected in conf/train.yaml yet; import one with `mlp data import FILE --target COLUMN`.",
    )


def test_list_marks_the_selected_table_and_shows_each_location(
    mlp: Callable[..., tuple[int, str, str]], bare: Project, write: Callable[..., Path]
) -> None:
    mlp("data", "import", str(write(TABLE)), "--target", "y", "--name", "one")
    mlp("data", "import", str(write(TABLE)), "--target", "kind", "--name", "two")
    (bare.data_dir / "one.parquet").unlink()

    code, out, _ = mlp("data", "list")

    assert code == 0
    rows = [line.split() for line in lines(out)[1:]]
    assert [row[:3] for row in rows] == [["one", "y", "3"], ["*", "two", "kind"]]
    assert lines(out)[1].endswith("not downloaded; run `mlp data pull`")
    assert lines(out)[2].endswith("tracked by DVC")


def test_list_without_tables_says_how_to_import_one(mlp: Callable[..., tuple[int, str, str]]) -> None:
    assert mlp("data", "list")[:2] == (
        0,
        "No table is selected in conf/train.yaml yet; import one with `mlp data import FILE --target COLUMN`.\n",
    )


def test_push_without_a_remote_exits_2(mlp: Callable[..., tuple[int, str, str]], write: Callable[..., Path]) -> None:
    mlp("data", "import", str(write(TABLE)), "--target", "y")

    code, _, err = mlp("data", "push")

    assert code == 2
    assert "no DVC remote is configured" in err


@pytest.mark.slow
def test_a_generated_project_imports_pushes_and_pulls_with_the_remote_of_its_answers(
    project: Project, write: Callable[..., Path]
) -> None:
    file = write(TABLE)

    run_mlp(project, "data", "import", str(file), "--target", "y", "--id", "id")
    pushed = run_mlp(project, "data", "push")
    (project.data_dir / "table.parquet").unlink()
    pulled = run_mlp(project, "data", "pull")
    again = run_mlp(project, "data", "push")

    assert pushed.stdout == "1 file pushed.\n"
    assert pulled.stdout == "0 files fetched; the tables match what DVC tracks.\n"
    assert again.stdout == "Everything is already in the remote.\n"
    assert "\x1b" not in pushed.stdout + pushed.stderr
    run_mlp(project, "data", "check")
