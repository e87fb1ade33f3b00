"""Import plans: inferred types, handled values and warnings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml

from platform_lib.data.contract import Column, dump_contract, parse_contract
from platform_lib.data.files.cleaning import MISSING_MARKERS
from platform_lib.data.files.formats import CsvFormat
from platform_lib.data.frame import feature_frame
from platform_lib.data.imports.plan import ImportPlan, ImportRequest, plan_import
from platform_lib.data.quality import check_table
from platform_lib.settings import Project
from tests.data.conftest import bare_project


def rows_of(values: list[str], separator: str = ",") -> str:
    """A CSV of one feature `a` and a target of two classes."""
    return "\n".join([f"a{separator}y", *(f"{value}{separator}{'pq'[i % 2]}" for i, value in enumerate(values))]) + "\n"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", "3", "4"], Column(type="integer", min=-2, max=4)),
        (["1", "", "3", "NA"], Column(type="integer", nullable=True, min=1, max=3)),
        (["1", "2.5", "1e3", ".5"], Column(type="number", min=0.5, max=1000.0)),
        (["true", "False", "TRUE", ""], Column(type="boolean", nullable=True)),
        (["2026-01-31", "2026-02-01", "", "1999-12-31"], Column(type="datetime", nullable=True)),
        (["2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00", "2026-01-31", "9999-12-31"], Column(type="datetime")),
        (["b", "a", "b", "a"], Column(type="string", allowed=["a", "b"])),
        (["a", "b", "c", "d"], Column(type="string")),
        (["yes", "no", "yes", "no"], Column(type="string", allowed=["no", "yes"])),
        (["01234", "98765", "01234", "98765"], Column(type="string", allowed=["01234", "98765"])),
        (["9007199254740993", "1", "2", "3"], Column(type="string")),
        (["123456789012345678901", "1", "2", "3"], Column(type="string")),
        (["1", "1", "2", "many"], Column(type="string")),
        (["3.1.2026", "1.2.2026", "3.2.2026", "4.2.2026"], Column(type="string")),
        (["0x1F", "1", "2", "3"], Column(type="string")),
    ],
    ids=[
        "integer",
        "integer-with-gaps",
        "number",
        "boolean",
        "date",
        "zones",
        "category",
        "all-different",
        "yes-no",
        "leading-zeros",
        "beyond-2^53",
        "beyond-int64",
        "mixed",
        "ambiguous-dates",
        "hexadecimal",
    ],
)
def test_a_type_is_inferred_from_all_values(
    plan: Callable[..., ImportPlan], values: list[str], expected: Column
) -> None:
    assert plan(rows_of(values)).contract.columns["a"] == expected


def test_a_late_value_counts_as_much_as_an_early_one(plan: Callable[..., ImportPlan]) -> None:
    values = [str(i) for i in range(300_000)] + ["many"]

    done = plan(rows_of(values))

    assert done.contract.columns["a"].type == "string"
    assert (
        "mixed: 300000 of 300001 values are numbers, but 'many' in row 300000 is not, so all are text"
        in done.report.columns[0].reason
    )


@pytest.mark.parametrize("marker", MISSING_MARKERS, ids=repr)
def test_each_missing_value_marker_is_missing_and_reported(plan: Callable[..., ImportPlan], marker: str) -> None:
    done = plan(rows_of(["1", marker, "3", "4"]))

    assert done.table.column("a").to_pylist() == [1, None, 3, 4]
    assert (f"missing is written {marker!r}" in done.report.columns[0].reason) == bool(marker)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a;y\n1,5;p\n2;q\n1.234;p\n3;q\n", "The columns are separated by semicolons."),
        ("a\ty\n1\tp\n2\tq\n3\tp\n4\tq\n", "The columns are separated by tabs."),
        ("a|y\n1|p\n2|q\n3|p\n4|q\n", "The columns are separated by bars."),
        ("a, y\n 1, p\n2 ,q\n3,p\n4,q\n", "White space around values was removed in a, y."),
        ("a,y,empty\n1,p,\n2,q,\n3,p,\n4,q,NA\n", "empty: dropped, since no row has a value."),
        ("a,y\n1,p\n2,q\n3,p\n4,q\n5,\n6,NA\n", "2 rows without a target dropped."),
        (
            "a,y\n1,p\n1,p\n2,q\n3,q\n",
            "Exact copies of other rows: 1; kept, on the same side of the split as the rows they copy.",
        ),
    ],
    ids=["semicolons", "tabs", "bars", "white-space", "empty-column", "no-target", "duplicates"],
)
def test_handled_values_are_reported(plan: Callable[..., ImportPlan], content: str, said: str) -> None:
    assert said in plan(content).report.notes


def test_a_semicolon_file_is_read_like_a_comma_file(plan: Callable[..., ImportPlan]) -> None:
    one, other = plan("a;y\n1,5;p\n2;q\n-3,25;p\n4;q\n"), plan("a,y\n1.5,p\n2,q\n-3.25,p\n4,q\n")

    assert one.table.equals(other.table)
    assert one.contract.columns["a"] == msgspec.structs.replace(other.contract.columns["a"], csv=CsvFormat(decimal=","))


def test_a_byte_order_mark_is_not_part_of_a_name(plan: Callable[..., ImportPlan]) -> None:
    assert list(plan(("\ufeff" + rows_of(["1", "2", "3", "4"])).encode("utf-8")).contract.columns) == ["a", "y"]


@pytest.mark.parametrize(
    ("values", "notice"),
    [
        (["1", "inf", "-Infinity", "4"], "2 infinite values became missing"),
        (["5", "5", "5", "5"], "constant: a model learns nothing from it"),
        (["007", "1", "2", "3"], "numbers with leading zeros are codes (--column a:number reads numbers)"),
        (
            ["9007199254740993", "1", "2", "3"],
            "whole numbers beyond 2^53 are kept as text, since a model's numbers would merge neighbours",
        ),
        (
            ["3.1.2026", "1.2.2026", "3.2.2026", "4.2.2026"],
            "import again with --dates day-first or --dates month-first",
        ),
        (["${x}", "b", "${x}", "b"], "its values are not listed as allowed, since Hydra would read one as a reference"),
    ],
    ids=["infinite", "constant", "codes", "large", "dates", "interpolation"],
)
def test_an_unusual_column_is_reported_next_to_its_type(
    plan: Callable[..., ImportPlan], values: list[str], notice: str
) -> None:
    assert notice in plan(rows_of(values)).report.columns[0].reason


def test_infinite_values_become_missing(plan: Callable[..., ImportPlan]) -> None:
    done = plan(rows_of(["1", "inf", "-Infinity", "4"]))

    assert done.table.column("a").to_pylist() == [1.0, None, None, 4.0]
    assert done.contract.columns["a"] == Column(type="number", nullable=True, min=1.0, max=4.0)


@pytest.mark.parametrize(
    ("column", "values", "warned"),
    [
        ("customer_id", [str(1000 + i) for i in range(30)], True),
        ("rowId", [str(i + 7) for i in range(30)], True),
        ("paid", [str(i + 7) for i in range(30)], False),
        ("price", [str(i + 7) for i in range(30)], False),
        ("comment", [f"text {i}" for i in range(30)], True),
        ("customer_id", [str(i // 2) for i in range(30)], False),
    ],
    ids=["numbers-named-id", "camel-case", "ends-in-id-but-is-none", "numbers", "texts-all-different", "repeated"],
)
def test_a_column_that_looks_like_an_identifier_is_kept_with_a_warning(
    plan: Callable[..., ImportPlan], column: str, values: list[str], *, warned: bool
) -> None:
    done = plan(rows_of(values).replace("a,", f"{column},", 1))

    assert [f"{column!r} looks like an identifier" in text for text in done.report.warnings] == [True] * warned
    assert done.contract.features == (column,)


@pytest.mark.parametrize(
    ("feature", "target", "task", "warned"),
    [
        ("pqpq", "pqpq", "classification", "'a' equals the target 'y' in every row, so a model would only copy it."),
        (
            "1212",
            "pqpq",
            "classification",
            "'a' determines the target 'y' one to one, so a model would only translate it.",
        ),
        ("1122", "pqpq", "classification", None),
        ("1234", "1234", "regression", "'a' equals the target 'y' in every row, so a model would only copy it."),
        ("1234", "4321", "regression", None),
    ],
    ids=["equal", "renamed", "independent", "equal-numbers", "related-numbers"],
)
def test_a_feature_that_leaks_the_target_causes_a_warning(
    tmp_path: Path, write: Callable[..., Path], feature: str, target: str, task: str, warned: str | None
) -> None:
    project = bare_project(tmp_path / "project", task=task)
    file = write("a,b,y\n" + "".join(f"{a},{i},{y}\n" for i, (a, y) in enumerate(zip(feature, target, strict=True))))

    done = plan_import(project, ImportRequest(file=file, target="y"))

    assert [text.split(" Leave it")[0] for text in done.report.warnings] == ([warned] if warned else [])


def test_whole_numbers_in_a_float_column_are_classes(bare: Project, tmp_path: Path) -> None:
    parquet.write_table(
        pa.table({"a": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [0.0, 1.0, 0.0, 1.0, None]}), tmp_path / "t.parquet"
    )

    done = plan_import(bare, ImportRequest(file=tmp_path / "t.parquet", target="y"))

    assert done.contract.columns["y"] == Column(type="integer", allowed=[0, 1])
    assert done.contract.columns["a"].type == "number"


def test_the_split_key_is_the_id_or_else_the_features(plan: Callable[..., ImportPlan]) -> None:
    content = "k,t,a,y\nk1,2026-01-01,1,p\nk2,2026-01-02,2,q\nk3,2026-01-03,3,p\nk4,2026-01-04,4,q\n"

    assert plan(content).contract.key == ["k", "t", "a"]
    assert plan(content, time="t").contract.key == ["k", "a"]
    assert plan(content, id="k", time="t").contract.key == ["k"]
    assert plan(content, id="k", time="t").contract.features == ("a",)


def test_repeated_ids_are_reported(plan: Callable[..., ImportPlan]) -> None:
    done = plan("k,a,y\nk1,1,p\nk1,2,q\nk3,3,p\nk4,4,q\n", id="k")

    assert (
        "1 row with an id in 'k' that an earlier row has; rows with the same id fall on the same side of the split."
        in done.report.notes
    )


def test_parquet_types_are_used_unchanged(bare: Project, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "small": np.array([1, 2, 3, 4], dtype="int8"),
            "half": np.array([0.5, np.nan, 1.5, 2.5], dtype="float32"),
            "category": pd.Categorical(["a", "b", "a", "b"]),
            "zoned": pd.to_datetime(["2026-01-31T12:00:00+02:00"] * 4, utc=True).tz_convert("Europe/Berlin"),
            "day": pa.array([1, 2, 3, 4], pa.int32()).cast(pa.date32()).to_pandas(),
            "flag": [True, None, False, True],
            "digits": ["1", "2", "1", "2"],
            "y": ["p", "q", "p", "q"],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")

    done = plan_import(bare, ImportRequest(file=tmp_path / "t.parquet", target="y"))

    assert {name: column.type for name, column in done.contract.columns.items()} == {
        "small": "integer",
        "half": "number",
        "category": "string",
        "zoned": "datetime",
        "day": "datetime",
        "flag": "boolean",
        "digits": "string",
        "y": "string",
    }
    assert done.table.column("half").null_count == 1
    assert done.table.column("zoned").to_pandas().iloc[0] == pd.Timestamp("2026-01-31T10:00:00")


def test_the_pandas_index_is_ignored(bare: Project, tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2, 3, 4], "y": list("pqpq")}, index=[9, 8, 7, 6]).to_parquet(tmp_path / "t.parquet")

    done = plan_import(bare, ImportRequest(file=tmp_path / "t.parquet", target="y"))

    assert list(done.contract.columns) == ["a", "y"]


AWKWARD = [
    "with space",
    "dot.ted",
    'quo"te',
    "apo'strophe",
    "größe",
    "年齢",
    "{braces}",
    "{{ jinja }}",
    "[list]",
    "a:b",
    "# hash",
    "- dash",
    "1",
    "1e3",
    "true",
    "null",
    "yes",
    "=",
    "~",
    "a,b",
    "back\\slash",
    "100%",
    "$dollar",
    "*star",
    "&amp",
    "@at",
    "defaults",
    "_target_",
    "???x",
    "🐧",
]


def test_awkward_names_are_preserved_by_contract_hydra_parquet_and_frame(
    plan: Callable[..., ImportPlan], tmp_path: Path
) -> None:
    header = ",".join('"' + name.replace('"', '""') + '"' for name in AWKWARD)
    lines = [",".join([*(str(row * 10 + place) for place in range(len(AWKWARD))), "pq"[row % 2]]) for row in range(4)]
    done = plan(f"{header},y\n" + "\n".join(lines) + "\n")

    parquet.write_table(done.table, tmp_path / "t.parquet")
    read = parquet.read_table(tmp_path / "t.parquet").to_pandas()
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "t.yaml").write_text(dump_contract(done.contract), encoding="utf-8")
    (tmp_path / "conf" / "train.yaml").write_text("defaults:\n  - data: t\n", encoding="utf-8")
    composed = compose(tmp_path / "conf")

    assert parse_contract(yaml.safe_load(dump_contract(done.contract)), "yaml") == done.contract
    assert parse_contract(composed["data"], "hydra") == done.contract
    assert list(feature_frame(check_table(read, done.contract), done.contract)) == AWKWARD
    assert feature_frame(read, done.contract).iloc[2].tolist() == [20.0 + place for place in range(len(AWKWARD))]


@pytest.mark.parametrize(
    "value",
    [
        "1e3",
        "1_000",
        "0o7",
        ".5e1",
        "null",
        "true",
        "2026-01-31",
        "a: b",
        "ü",
        "~",
        "=",
        "${",
        "???",
        "'",
        "- x",
        "1:30",
        "nan",
    ],
)
def test_categories_read_the_same_by_yaml_and_hydra(
    plan: Callable[..., ImportPlan], tmp_path: Path, value: str
) -> None:
    done = plan(rows_of([value, "other", value, "other", "x"] * 2))
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "t.yaml").write_text(dump_contract(done.contract), encoding="utf-8")
    (tmp_path / "conf" / "train.yaml").write_text("defaults:\n  - data: t\n", encoding="utf-8")

    assert parse_contract(yaml.safe_load(dump_contract(done.contract)), "yaml") == done.contract
    assert parse_contract(compose(tmp_path / "conf")["data"], "hydra") == done.contract


def compose(folder: Path) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(folder), version_base="1.3"):
        values: dict[str, Any] = OmegaConf.to_container(hydra_compose("train"), resolve=True, throw_on_missing=True)
    return values


def test_two_hundred_columns_are_imported(plan: Callable[..., ImportPlan]) -> None:
    header = ",".join(f"c{i}" for i in range(200))
    lines = [",".join([*(str(row + place) for place in range(200)), "pq"[row % 2]]) for row in range(4)]

    done = plan(f"{header},y\n" + "\n".join(lines) + "\n")

    assert len(done.contract.columns) == 201
    assert done.contract.columns["c199"] == Column(type="integer", min=199, max=202)


def test_an_imported_table_conforms_to_its_own_contract(plan: Callable[..., ImportPlan]) -> None:
    done = plan("a,b,t,f,y\n1,x,2026-01-01,true,p\n,,,,q\n3,x,2026-01-03,false,p\n4.5,y,2026-01-04,true,q\n")

    assert check_table(done.table.to_pandas(), done.contract).isna().sum().tolist() == [1, 1, 1, 1, 0]
