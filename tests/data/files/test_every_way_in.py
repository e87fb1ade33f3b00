"""The same cells give the same values, whichever command and file format reads them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import Pipeline

from platform_lib.data.contract import DataContract, columns_from_rows, dump_contract
from platform_lib.data.dataset import contract_path, load_dataset
from platform_lib.data.frame import feature_frame
from platform_lib.data.imports.plan import ImportPlan, ImportRequest, plan_import
from platform_lib.model.artifact import LoadedModel
from platform_lib.serving import predict_file as batch_module
from platform_lib.serving.predict_file import predict_file
from platform_lib.serving.protocols.csv_rows import decode_csv
from platform_lib.settings import Project
from tests.data.conftest import bare_project

DIALECTS: dict[str, dict[str, Any]] = {
    "comma": {"delimiter": ","},
    "semicolon": {"delimiter": ";"},
    "tab": {"delimiter": "\t"},
    "bar": {"delimiter": "|"},
    "all-quoted": {"delimiter": ";", "quoting": csv.QUOTE_ALL},
}
CELLS = {
    "mixed sizes": ["3,5", "4,5", "XL", "3,5", "", "6"],
    "decimal comma": ["1,5", "-0,25", "3", "", "1000,125", "2"],
    "code with comma": ["01,5", "2,5", "3", "4,5", "5", "6"],
    "decimal point": ["1.5", "-.25", "3", "NA", "1e3", "2"],
    "points and commas": ["1.5", "2,5", "3", "4,5", "", "6"],
    "thousands point": ["1.234", "987", "12.345", "1.000", "", "6"],
    "thousands comma": ["1,234", "987", "12,345", "1,000", "", "6"],
    "thousands and decimals": ["1.234,56", "987,5", "12.345,0", "1,5", "", "6"],
    "white space": [" clerk", "clerk ", "\tboss", "boss", " ", "boss"],
    "white space in numbers": [" 1", "2 ", " 3 ", "", "5", "6"],
    "whole": ["1", "-2", "3", "null", "5", "6"],
    "large ids": ["100000000000000000", "100000000000000001", "", "100000000000000003", "5", "6"],
    "codes": ["007", "7", "0", "", "42", "6"],
    "boolean": ["true", "FALSE", "True", "false", "", "true"],
    "date": ["2026-01-31", "2026-02-01", "", "1999-12-31", "2026-02-28", "0001-01-01"],
    "zones": ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00", "", "2026-01-31", "9999-12-31", "2026-01-31 07:08"],
    "gaps": ["a", "N/A", "NaN", "None", "#N/A", "b"],
    "money": ["$1,234.50", "-$0.99", "($5.00)", "$12,345.00", "", "$6"],
    "euros": ["1.234,50 €", "-0,99 €", "5 €", "12.345,00 €", "", "6 €"],
    "percent": ["12.5%", "7 %", "0%", "-3%", "", "100%"],
    "kilograms": ["70 kg", "65.5 kg", "", "1,070 kg", "9 kg", "8kg"],
    "odd signs": ["\u22120.26", "+0.5", "(2)", "1\u00a0234", "", "1_000"],
    "question marks": ["1", "?", "3", "", "5", "?"],
    "years first": ["2026/01/31", "2026/2/1", "", "1999/12/31", "2026/02/28 10:30", "2026/03/01"],
    "days first": ["31.01.2026", "1.2.2026", "", "31.12.99", "28.02.2026 10:30", "01.03.2026"],
    "months first": ["01/31/2026", "2/1/2026", "", "12/31/1999", "02/28/2026 10:30 PM", "03/01/2026"],
    "named months": ["Jan 31, 2026", "1 February 2026", "", "31-Dec-1999", "Feb 28 2026", "Sun, 1 Mar 2026"],
    "zero dates": ["2026-01-31", "0000-00-00", "2026-02-01", "", "1999-12-31", "0000-00-00"],
    "quotes": ['say "a"', "b;c", "d,e", "f|g", "two\nlines", "h"],
}
ROWS = 6


def write_csv(path: Path, cells: dict[str, list[str]], dialect: dict[str, Any]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", **dialect)
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))
    return path


def table_of(name: str, cells: list[str], ids: str = "a") -> dict[str, list[str]]:
    """The cells as a feature between an ID and a target."""
    return {"id": [f"{ids}{row}" for row in range(ROWS)], name: cells, "y": ["p", "q"] * (ROWS // 2)}


class Recorder(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A model that records the frames it is asked to predict."""

    frames: list[pd.DataFrame]

    def predict(self, X: pd.DataFrame) -> Any:
        self.frames.append(X)
        return np.zeros(len(X))


def predicted_from(file: Path, contract: DataContract) -> pd.DataFrame:
    """The frame that a model sees when `mlp predict` reads the file."""
    recorder = Recorder()
    recorder.frames = []
    model = LoadedModel(name="t", version="1", pipeline=Pipeline([("model", recorder)]), contract=contract, sha256="")
    predict_file(model, file, file.with_name(f"out-{file.stem}.csv"), progress=lambda done, total: None)
    return pd.concat(recorder.frames, ignore_index=True)


def served(rows: list[dict[str, Any]], contract: DataContract) -> pd.DataFrame:
    """The frame that a model sees when a model server has decoded these rows."""
    return feature_frame(columns_from_rows(rows, contract), contract)


def json_rows(table: pd.DataFrame, contract: DataContract) -> list[dict[str, Any]]:
    """The rows of an imported table as an application sends them, after a way through JSON."""
    text = table[list(contract.features)].to_json(
        orient="records", date_format="iso", date_unit="us", double_precision=15
    )
    rows: list[dict[str, Any]] = json.loads(text)
    whole = [name for name in contract.features if contract.columns[name].type == "integer"]
    return [row | {name: None if row[name] is None else int(row[name]) for name in whole} for row in rows]


def store(project: Project, plan: ImportPlan) -> Path:
    """Write table and contract where an import writes them."""
    path = project.root / plan.contract.path
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(plan.table, path)
    contract = contract_path(project, plan.contract.name)
    contract.parent.mkdir(exist_ok=True)
    contract.write_text(dump_contract(plan.contract), encoding="utf-8")
    return path


@pytest.fixture(params=list(DIALECTS.values()), ids=list(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


@pytest.mark.parametrize("name", CELLS)
def test_the_same_cells_give_the_same_values_in_every_command(
    name: str, dialect: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "ROWS_AT_A_TIME", 2)
    project = bare_project(tmp_path / "project")
    file = write_csv(tmp_path / "table.csv", table_of(name, CELLS[name]), dialect)
    plan = plan_import(project, ImportRequest(file=file, target="y", id="id"))
    contract = plan.contract
    expected = feature_frame(plan.table.to_pandas(), contract)
    stored = store(project, plan)

    ways = {
        "training": feature_frame(load_dataset(project, contract), contract),
        "predict from the CSV": predicted_from(file, contract),
        "predict from the imported Parquet": predicted_from(stored, contract),
        "a server's CSV": served(decode_csv(file.read_bytes(), contract, ROWS), contract),
        "a server's JSON": served(json_rows(plan.table.to_pandas(), contract), contract),
    }
    for row in range(ROWS):
        one = {column: cells[row : row + 1] for column, cells in table_of(name, CELLS[name]).items()}
        if name in ("mixed sizes", "code with comma") or contract.columns[name].nullable:
            alone = predicted_from(write_csv(tmp_path / f"row-{row}.csv", one, dialect), contract)
            pd.testing.assert_frame_equal(alone, expected.iloc[[row]].reset_index(drop=True), obj=f"row {row} alone")
    more = write_csv(tmp_path / "more.csv", table_of(name, CELLS[name], ids="b"), dialect)
    appended = plan_import(project, ImportRequest(file=more, name="table", mode="append"))
    ways["append"] = feature_frame(appended.table.slice(ROWS).to_pandas(), appended.contract)
    assert appended.contract.columns[name] == contract.columns[name]

    for way, frame in ways.items():
        pd.testing.assert_frame_equal(frame, expected, obj=way)


def test_a_text_that_looks_like_a_decimal_stays_text(tmp_path: Path) -> None:
    project = bare_project(tmp_path / "project")
    cells = table_of("size", ["3,5", "4,5", "5,5", "XL", "3,5", "XL"])
    file = write_csv(tmp_path / "table.csv", cells, DIALECTS["semicolon"])
    contract = plan_import(project, ImportRequest(file=file, target="y", id="id")).contract

    assert predicted_from(file, contract)["size"].tolist() == cells["size"]


PARQUET: dict[str, Callable[[], pa.Array]] = {
    "large ids": lambda: pa.array([10**17, 10**17 + 1, None, 10**17 + 3, 5, 6], pa.int64()),
    "white space": lambda: pa.array([" clerk", "clerk ", "\tboss", "boss", None, "boss"]),
    "white space as categories": lambda: pa.array(
        [" clerk", "clerk ", "\tboss", "boss", None, "boss"]
    ).dictionary_encode(),
    "whole": lambda: pa.array([1, -2, 3, None, 5, 6], pa.int32()),
    "decimal point": lambda: pa.array([1.5, -0.25, 3.0, None, 1e3, 2.0]),
    "boolean": lambda: pa.array([True, False, True, False, None, True]),
    "date": lambda: pa.array([20484, 20485, None, 10956, 20512, -719162], pa.int32()).cast(pa.date32()),
}


@pytest.mark.parametrize("kind", PARQUET)
def test_a_parquet_file_gives_the_same_values_as_its_csv(kind: str, tmp_path: Path) -> None:
    name = kind.removesuffix(" as categories")
    cells = table_of(name, CELLS[name])
    csv_file = write_csv(tmp_path / "table.csv", cells, DIALECTS["comma"])
    file = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"id": cells["id"], name: PARQUET[kind](), "y": cells["y"]}), file)
    project = bare_project(tmp_path / "project")
    from_csv = plan_import(project, ImportRequest(file=csv_file, target="y", id="id"))
    plan = plan_import(project, ImportRequest(file=file, target="y", id="id"))
    expected = feature_frame(from_csv.table.to_pandas(), from_csv.contract)
    store(project, plan)
    more = tmp_path / "more.parquet"
    parquet.write_table(pa.table({"id": table_of(name, [], "b")["id"], name: PARQUET[kind](), "y": cells["y"]}), more)
    appended = plan_import(project, ImportRequest(file=more, name="table", mode="append"))

    ways = {
        "import": feature_frame(plan.table.to_pandas(), plan.contract),
        "training": feature_frame(load_dataset(project, plan.contract), plan.contract),
        "append": feature_frame(appended.table.slice(ROWS).to_pandas(), plan.contract),
        "predict from the Parquet": predicted_from(file, plan.contract),
        "predict from the CSV": predicted_from(csv_file, plan.contract),
    }
    assert plan.contract.columns == from_csv.contract.columns
    for way, frame in ways.items():
        pd.testing.assert_frame_equal(frame, expected, obj=way)
