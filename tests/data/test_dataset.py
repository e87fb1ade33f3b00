"""Find and read a project's tables."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from platform_lib.data.contract import read_contract
from platform_lib.data.dataset import find_contract, load_dataset, read_table, selected_name
from platform_lib.data.dvc import data_hash
from platform_lib.errors import NotFound, UsageError
from platform_lib.project import load_table
from platform_lib.settings import Project

TABLE = "defaults:\n{line}  - model: x\n  - _self_\n"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("  - data: sample\n", "sample"),
        ("  - data: ???\n", None),
        ("  - data:\n", None),
        ("", None),
        ("  - override data: x\n", None),
    ],
    ids=["name", "mandatory", "null", "no-line", "override"],
)
def test_the_selected_table_is_in_the_config_defaults(bare: Project, line: str, name: str | None) -> None:
    (bare.conf_dir / "train.yaml").write_text(TABLE.format(line=line), encoding="utf-8")

    assert selected_name(bare) == name


def test_without_a_selection_the_remedy_is_an_import(bare: Project) -> None:
    with pytest.raises(NotFound) as caught:
        load_table(project=bare)

    assert (
        str(caught.value)
        == "no table is selected in conf/train.yaml yet; import one with `mlp data import FILE --target COLUMN`."
    )


def test_an_unknown_name_lists_the_existing_tables(project: Project) -> None:
    with pytest.raises(NotFound, match="there is no data contract 'churn': conf/data has sample"):
        load_table("churn", project)


def test_the_notebook_call_reads_the_selected_table_typed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root / "conf")

    table = load_table()

    assert table.shape == (344, 8)
    assert table["body_mass_g"].dtype == "float64"
    assert table["species"].dtype == object
    pd.testing.assert_frame_equal(table, load_table("sample", project))


@pytest.mark.parametrize(
    ("tracked", "remedy"),
    [
        (True, "fetch it with `mlp data pull`"),
        (False, "put the file there, or import a table with `mlp data import FILE --target COLUMN`"),
    ],
    ids=["under-dvc", "not-tracked"],
)
@pytest.mark.parametrize("read", [load_dataset, data_hash], ids=["load", "hash"])
def test_a_missing_table_says_how_to_get_it(
    project: Project, *, tracked: bool, remedy: str, read: Callable[..., object]
) -> None:
    file = project.data_dir / "sample.csv"
    file.unlink()
    if tracked:
        (project.data_dir / "sample.csv.dvc").write_text("outs: []\n", encoding="utf-8")

    with pytest.raises(NotFound) as caught:
        read(project, find_contract(project))

    assert str(caught.value) == f"the table 'sample' is not there: data/sample.csv is missing; {remedy}."


def test_an_address_is_not_a_project_path(project: Project) -> None:
    path = project.conf_dir / "data" / "sample.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("data/sample.csv", "s3://bucket/sample.csv"), encoding="utf-8"
    )

    with pytest.raises(UsageError, match=r"has path 's3://bucket/sample\.csv', expected a file of this project"):
        load_dataset(project, find_contract(project))


def test_csv_values_stay_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n007,x\n,NA\n", encoding="utf-8")

    table = read_table(tmp_path / "t.csv")

    assert table["a"].iloc[0] == "007"
    assert table.iloc[1].isna().tolist() == [True, True]


def test_the_hash_is_the_md5_of_the_bytes(project: Project) -> None:
    import hashlib

    expected = hashlib.md5((project.data_dir / "sample.csv").read_bytes()).hexdigest()

    assert data_hash(project, find_contract(project)) == expected


def test_a_broken_contract_names_the_invalid_entry(project: Project) -> None:
    path = project.conf_dir / "data" / "sample.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("type: string", "type: words", 1), encoding="utf-8")

    with pytest.raises(
        UsageError, match=r"is not a data contract: Invalid enum value 'words'.*Fix the entry, or write the file again"
    ):
        read_contract(path)
