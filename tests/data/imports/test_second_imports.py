"""Importing into an existing table reports the changes and keeps people's decisions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as parquet
import pytest

from platform_lib.data.contract import Column, DataContract, dump_contract
from platform_lib.data.dataset import contract_path, find_contract, load_dataset
from platform_lib.data.imports.plan import ImportRequest, plan_import
from platform_lib.data.splits import holdout_mask
from platform_lib.errors import NotFound, UsageError
from platform_lib.settings import Project
from tests.data.conftest import import_file

FIRST = "k,size,kind,y\nk1,1,a,p\nk2,2,b,q\nk3,3,a,p\nk4,4,b,q\n"


@pytest.fixture
def table(bare: Project, write: Callable[..., Path]) -> Project:
    """A project with the table `table` of FIRST in it."""
    import_file(bare, write(FIRST), target="y")
    return bare


def edit(project: Project, **columns: Column | None) -> DataContract:
    """Change entries of the contract on disk, as people do; None removes an entry."""
    contract = find_contract(project, "table")
    entries = {name: columns.get(name, column) for name, column in contract.columns.items()}
    edited = msgspec.structs.replace(
        contract,
        columns={name: column for name, column in entries.items() if column is not None},
        key=[name for name in contract.key if entries[name] is not None],
    )
    contract_path(project, "table").write_text(dump_contract(edited), encoding="utf-8")
    return edited


def test_the_difference_is_listed(table: Project, write: Callable[..., Path]) -> None:
    file = write("k,size,kind,new,y\nk1,0.5,a,1,p\nk2,2,c,2,r\nk3,,a,3,p\nk4,4,c,4,r\nk5,9,c,5,r\n")

    found = plan_import(table, ImportRequest(file=file)).changes

    assert found == [
        "rows: 4 → 5",
        "column added: new (integer)",
        "size: type integer → number",
        "kind: new values c",
        "kind: values no longer there b",
        "y: new values r",
        "y: values no longer there q",
    ]


@pytest.mark.parametrize(
    ("content", "change"),
    [
        ("k,size,y\nk1,1,p\nk2,2,q\nk3,3,p\nk4,4,q\n", "column removed: kind (string)"),
        ("k,size,kind,y\nk1,-1,a,p\nk2,20,b,q\nk3,3,a,p\nk4,4,b,q\n", "size: range 1 … 4 → -1 … 20"),
        ("k,size,kind,y\nk1,1,a,p\nk2,2,,q\nk3,3,a,p\nk4,4,b,q\n", "kind: has missing values now"),
    ],
    ids=["removed", "range", "gaps"],
)
def test_a_change_is_reported(table: Project, write: Callable[..., Path], content: str, change: str) -> None:
    assert change in plan_import(table, ImportRequest(file=write(content))).changes


def test_append_adds_the_rows_and_widens_the_contract(table: Project, write: Callable[..., Path]) -> None:
    import_file(table, write("y,kind,size,k\np,c,9,k5\nq,a,,k6\n,a,1,k7\n", "more.csv"), name="table", mode="append")

    contract = find_contract(table, "table")
    assert contract.columns["size"] == Column(type="integer", nullable=True, min=1, max=9)
    assert contract.columns["kind"] == Column(type="string", allowed=["a", "b", "c"])
    assert contract.key == ["k", "size", "kind"]
    frame = load_dataset(table, contract)
    assert frame["k"].tolist() == ["k1", "k2", "k3", "k4", "k5", "k6"]
    assert frame["size"].tolist()[:5] == [1, 2, 3, 4, 9]


def test_append_reads_values_with_the_contracts_types(table: Project, write: Callable[..., Path]) -> None:
    edit(table, k=Column(type="string"))

    import_file(table, write("k,size,kind,y\n005,5,a,p\n6,6,b,q\n", "more.csv"), name="table", mode="append")

    assert load_dataset(table, find_contract(table, "table"))["k"].tolist()[4:] == ["005", "6"]


def test_append_keeps_the_held_out_rows(bare: Project, write: Callable[..., Path]) -> None:
    def lines(start: int, end: int) -> str:
        return "a,b,y\n" + "".join(f"{i + 7},{i % 5},{'pq'[i % 2]}\n" for i in range(start, end))

    import_file(bare, write(lines(0, 400)), target="y")
    before = find_contract(bare, "table")
    frame = load_dataset(bare, before)
    held = set(frame["a"][holdout_mask(frame, before)])

    import_file(bare, write(lines(400, 440).replace("407,0", ",0"), "more.csv"), name="table", mode="append")

    contract = find_contract(bare, "table")
    grown = load_dataset(bare, contract)
    assert {a for a in grown["a"][holdout_mask(grown, contract)] if a < 407} == held


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "k,size,y\nk5,1,p\n",
            "{file} lacks the column 'kind' of the table 'table'; add it, or import all rows again with --replace.",
        ),
        (
            "k,size,kind,new,y\nk5,1,a,1,p\n",
            "{file} has the column 'new', which the table 'table' does not have; remove it, or import all rows again with --replace.",
        ),
        (
            "k,size,kind,y\nk5,1,a,p\nk6,2.5,a,p\n",
            "column 'size' is of type integer in the contract, but 1 new value is not a whole number, the first is '2.5' in row 1 (counted from 0). "
            "Fix the file, or import all rows again with --replace.",
        ),
        (
            "k,size,kind,y\nk5,many,a,p\nk6,few,a,p\n",
            "column 'size' is of type integer in the contract, but 2 new values are not a whole number, "
            "the first is 'many' in row 0 (counted from 0). Fix the file, or import all rows again with --replace.",
        ),
        (
            "k,size,kind,y\nk5,1,a,r\n",
            "the class 'r' of the target 'y' has a single row, expected two or more: to learn from and to test on. "
            "Add rows, remove the row, or merge the class with another.",
        ),
        (
            "k,size,kind,y\nk5,1,a,\n",
            "the target 'y' has no value in any row of {file}; choose another with --target, or fill it in.",
        ),
        (FIRST, "all 4 rows of {file} are already in the table 'table'; there is nothing to append."),
    ],
    ids=["column-lacks", "column-unknown", "fraction", "text", "single-row-class", "no-target", "appended-twice"],
)
def test_rows_that_violate_the_contract_are_not_appended(
    table: Project, write: Callable[..., Path], content: str, sentence: str
) -> None:
    file = write(content, "more.csv")

    with pytest.raises(UsageError) as caught:
        plan_import(table, ImportRequest(file=file, name="table", mode="append"))

    assert str(caught.value) == sentence.format(file=file)


def test_append_with_another_target_is_refused(table: Project, write: Callable[..., Path]) -> None:
    with pytest.raises(
        UsageError, match="--target is 'kind', but the table 'table' has y; omit --target, or use --replace"
    ):
        plan_import(table, ImportRequest(file=write(FIRST), target="kind", mode="append"))


def test_append_to_a_missing_table_says_how_to_fetch_it(table: Project, write: Callable[..., Path]) -> None:
    (table.data_dir / "table.parquet").unlink()

    with pytest.raises(NotFound, match=r"data/table\.parquet is missing; fetch it with `mlp data pull`"):
        plan_import(table, ImportRequest(file=write(FIRST), mode="append"))


def test_replace_keeps_peoples_edits(table: Project, write: Callable[..., Path]) -> None:
    edit(
        table,
        k=Column(type="string", log=False),
        size=Column(type="integer", nullable=True, min=0, max=100),
        kind=Column(type="string", allowed=["a", "b", "z"]),
    )

    done = import_file(
        table, write("k,size,kind,y\nk1,5,a,p\nk2,2,b,q\nk3,3,a,p\nk4,4,b,q\nk5,4,b,q\n"), mode="replace"
    )

    columns = find_contract(table, "table").columns
    assert columns["k"] == Column(type="string", log=False)
    assert columns["size"] == Column(type="integer", nullable=True, min=0, max=100)
    assert columns["kind"] == Column(type="string", allowed=["a", "b", "z"])
    assert "size keeps from the contract: nullable, range 0 … 100." in done.report.notes
    assert "k keeps from the contract: log: false." in done.report.notes
    assert parquet.read_metadata(table.data_dir / "table.parquet").num_rows == 5


def test_replace_widens_a_range_that_is_exceeded(table: Project, write: Callable[..., Path]) -> None:
    import_file(table, write(FIRST.replace("k4,4", "k4,40")), mode="replace")

    assert find_contract(table, "table").columns["size"] == Column(type="integer", min=1, max=40)


def test_a_removed_limit_stays_removed(table: Project, write: Callable[..., Path]) -> None:
    edit(table, size=Column(type="integer", min=1), kind=Column(type="string"))

    import_file(table, write(FIRST), mode="replace")

    assert find_contract(table, "table").columns["size"] == Column(type="integer", min=1)
    assert find_contract(table, "table").columns["kind"] == Column(type="string")


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_column_removed_from_the_contract_stays_out_but_remains_in_the_file(
    table: Project, write: Callable[..., Path], mode: str
) -> None:
    edit(table, kind=None)

    import_file(table, write(FIRST.replace("k1,1", "k5,4")), mode=mode)

    assert list(find_contract(table, "table").columns) == ["k", "size", "y"]
    assert "kind" in parquet.read_schema(table.data_dir / "table.parquet").names


def sides(project: Project) -> dict[Any, bool]:
    contract = find_contract(project, "table")
    frame = load_dataset(project, contract)
    return dict(zip(frame["k"], holdout_mask(frame, contract, test_share=0.5).tolist(), strict=True))


def test_replace_with_a_new_column_moves_no_row(bare: Project, write: Callable[..., Path]) -> None:
    rows = [(f"k{i}", i, "pq"[i % 2]) for i in range(100)]
    import_file(bare, write("k,size,y\n" + "".join(f"{k},{s},{y}\n" for k, s, y in rows)), target="y")
    before = sides(bare)

    done = import_file(
        bare, write("k,new,size,y\n" + "".join(f"{k},{s / 7},{s},{y}\n" for k, s, y in rows)), mode="replace"
    )

    assert sides(bare) == before
    assert np.mean(list(before.values())) not in (0, 1)
    assert "The key stays as it was, so that no row changes its side of the hold-out." in done.report.notes


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("k,size,y\nk1,1,p\nk2,2,q\nk3,3,p\nk4,4,q\n", "The key loses kind: rows change sides of the hold-out."),
        (FIRST.replace("k1,1", "k1,one"), "The type of size in the key changes: rows change sides of the hold-out."),
        (FIRST.replace("k1,1", "k1,1.5"), None),
    ],
    ids=["key-column-gone", "key-column-becomes-text", "integer-becomes-number"],
)
def test_a_replacement_that_moves_rows_says_so(
    table: Project, write: Callable[..., Path], content: str, said: str | None
) -> None:
    notes = plan_import(table, ImportRequest(file=write(content), mode="replace")).report.notes

    assert [note for note in notes if "hold-out" in note] == ([said] if said else [])


TRAINED = "bare version 3"


def test_replace_with_another_target_takes_it_out_of_the_key(table: Project, write: Callable[..., Path]) -> None:
    done = import_file(table, write(FIRST), target="kind", mode="replace")

    contract = find_contract(table, "table")
    assert contract.target == "kind"
    assert contract.key == ["k", "size", "y"]
    assert done.report.notes[-1] == (
        "The hold-out is decided by k, size, y from now on; no model was trained on this table yet."
    )


def test_an_id_given_before_the_first_model_decides_the_hold_out(table: Project, write: Callable[..., Path]) -> None:
    done = import_file(table, write(FIRST), id="k", mode="replace")

    assert find_contract(table, "table").key == ["k"]
    assert done.report.notes[-1] == "The hold-out is decided by k from now on; no model was trained on this table yet."
    assert not [text for text in done.report.warnings if "hold-out" in text]


def test_an_id_given_after_the_first_model_keeps_the_key_and_says_what_another_costs(
    table: Project, write: Callable[..., Path]
) -> None:
    kept = plan_import(table, ImportRequest(file=write(FIRST), id="k", mode="replace", trained=TRAINED))
    taken = plan_import(table, ImportRequest(file=write(FIRST), id="k", mode="replace", trained=TRAINED, new_key=True))

    cost = (
        "rows change sides, so bare version 3 was fitted on some of the rows that are held out then. The gate compares "
        "the next model with it on the rows that both hold out, so on fewer."
    )
    assert kept.contract.key == ["k", "size", "kind"]
    assert kept.report.warnings[-1] == (
        "The hold-out is still decided by k, size, kind, because bare version 3 was trained with that key. To decide it "
        f"by k, import again with --replace --new-key: {cost}"
    )
    assert taken.contract.key == ["k"]
    assert taken.report.warnings[-1] == f"The hold-out is decided by k from now on: {cost}"


def test_a_key_of_earlier_versions_with_the_target_in_it_is_kept_once_trained_and_said_to_be_wrong(
    table: Project, write: Callable[..., Path]
) -> None:
    old = msgspec.structs.replace(find_contract(table, "table"), key=["k", "size", "kind", "y"])
    contract_path(table, "table").write_text(dump_contract(old), encoding="utf-8")

    kept = plan_import(table, ImportRequest(file=write(FIRST), mode="replace", trained=TRAINED))

    assert kept.contract.key == ["k", "size", "kind", "y"]
    assert "It contains the target, so scores of rows with equal features are wrong." in kept.report.warnings[-1]
    assert plan_import(table, ImportRequest(file=write(FIRST), mode="replace")).contract.key == ["k", "size", "kind"]


def test_a_key_that_people_chose_is_kept(table: Project, write: Callable[..., Path]) -> None:
    chosen = msgspec.structs.replace(find_contract(table, "table"), key=["kind"])
    contract_path(table, "table").write_text(dump_contract(chosen), encoding="utf-8")

    assert plan_import(table, ImportRequest(file=write(FIRST), mode="replace")).contract.key == ["kind"]


def test_a_new_key_needs_a_table_to_replace(table: Project, write: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="use it together with --replace"):
        plan_import(table, ImportRequest(file=write(FIRST), mode="append", new_key=True))


def test_separate_rows_keep_their_sides_when_appended_and_another_order_is_reported(
    bare: Project, write: Callable[..., Path]
) -> None:
    rows = [f"{i % 3},{'ab'[i % 2]},{'pq'[i * 7 % 11 % 2]}" for i in range(120)]
    more = rows[60:20:-1]
    import_file(bare, write("\n".join(["a,b,y", *rows])), target="y")
    contract = find_contract(bare, "table")
    before = holdout_mask(load_dataset(bare, contract), contract)

    import_file(bare, write("\n".join(["a,b,y", *more]), "more.csv"), name="table", mode="append")
    again = plan_import(bare, ImportRequest(file=write("\n".join(["a,b,y", *rows, *more])), mode="replace"))
    turned = plan_import(bare, ImportRequest(file=write("\n".join(["a,b,y", *more, *rows])), mode="replace"))

    with pytest.raises(UsageError, match=r"all 40 rows of .* are already in the table"):
        import_file(bare, write("\n".join(["a,b,y", *more]), "more.csv"), name="table", mode="append")
    grown = find_contract(bare, "table")
    assert contract.repeats == grown.repeats == "separate"
    assert holdout_mask(load_dataset(bare, grown), grown)[:120].tolist() == before.tolist()
    assert not [note for note in again.report.notes if "order" in note]
    assert "keep the old order and add new rows at the end" in turned.report.notes[-1]
