"""Predict a table file into a table file: the server's predictions, the table's own cells unchanged.

If anything is wrong, nothing is written.
"""

import csv
import os
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from platform_lib.errors import NotFound, PlatformError, UsageError
from platform_lib.model.artifact import LoadedModel
from platform_lib.serving import predict_file as batch_module
from platform_lib.serving.predict_file import BatchResult, predict_file
from platform_lib.serving.predictor import predict_rows, predict_table
from tests.serving.sample_models import CLASSIFICATION, COLUMNS, REGRESSION, fitted, loaded, rows

ADDED = ("prediction", "probability_maybe", "probability_no", "probability_yes")


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return loaded(fitted())


def predict(model: LoadedModel, file: Path, out: Path) -> BatchResult:
    return predict_file(model, file, out, progress=lambda done, total: None)


def write_csv(path: Path, some: list[dict[str, Any]], separator: str = ",") -> Path:
    """Write CSV as a spreadsheet would: missing values are empty, true is `true`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(some[0])
        writer.writerows(
            [
                [
                    "" if value is None else str(value).lower() if isinstance(value, bool) else value
                    for value in row.values()
                ]
                for row in some
            ]
        )
    return path


def write_parquet(path: Path, some: list[dict[str, Any]]) -> Path:
    typed = [{**row, "joined": row["joined"] and datetime.fromisoformat(row["joined"])} for row in some]
    parquet.write_table(pa.Table.from_pylist(typed), path)
    return path


@pytest.mark.parametrize("source", ["in.csv", "in.tsv", "in.parquet"])
@pytest.mark.parametrize("target", ["out.csv", "out.tsv", "out.parquet"])
def test_predictions_equal_the_servers_from_and_to_every_format(
    source: str, target: str, model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "ROWS_AT_A_TIME", 7)
    some = rows(50, seed=3)
    file, out = tmp_path / source, tmp_path / target
    write_parquet(file, some) if source.endswith("parquet") else write_csv(
        file, some, "\t" if source.endswith("tsv") else ","
    )
    assert predict(model, file, out) == BatchResult(rows=50, columns=ADDED)
    written = (
        pd.read_parquet(out)
        if target.endswith("parquet")
        else pd.read_csv(out, sep="\t" if target.endswith("tsv") else ",")
    )
    assert list(written.columns) == [*COLUMNS, *ADDED]
    served = predict_rows(model, some)
    assert written["prediction"].tolist() == served.values.tolist()
    assert served.probabilities is not None
    np.testing.assert_allclose(written[list(ADDED[1:])].to_numpy(), served.probabilities, rtol=1e-9)


def test_the_tables_own_cells_are_unchanged(model: LoadedModel, tmp_path: Path) -> None:
    cells = {
        "note": ' "a", b ',
        "age": " 044",
        "income": "NA",
        "vip": "TRUE",
        "town": "007",
        "joined": "2024-01-02",
        "score": "5e-1",
        "secret": "x",
    }
    with (tmp_path / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([list(cells), list(cells.values())])
    predict(model, tmp_path / "in.csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert {name: row[name] for name in cells} == cells


def test_semicolons_and_decimal_commas_are_read_and_semicolons_written(model: LoadedModel, tmp_path: Path) -> None:
    text = "age;income;vip;town;joined;score;secret\n44;1000,5;true;Bern;2024-01-02;-0,5;x\n"
    (tmp_path / "in.csv").write_text(text, encoding="utf-8")
    predict(model, tmp_path / "in.csv", tmp_path / "out.csv")
    row = {
        "age": 44,
        "income": 1000.5,
        "vip": True,
        "town": "Bern",
        "joined": "2024-01-02",
        "score": -0.5,
        "secret": "x",
    }
    served = predict_rows(model, [row])
    header, line = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert header == f"{text.splitlines()[0]};{';'.join(ADDED)}"
    assert line.startswith(f"{text.splitlines()[1]};{served.values[0]};")


def test_regression_adds_one_column_of_numbers(tmp_path: Path) -> None:
    model = loaded(fitted(REGRESSION), REGRESSION)
    some = rows(9)
    result = predict(model, write_csv(tmp_path / "in.csv", some), tmp_path / "out.parquet")
    assert result.columns == ("prediction",)
    np.testing.assert_allclose(
        pd.read_parquet(tmp_path / "out.parquet")["prediction"], predict_rows(model, some).values, rtol=1e-9
    )


def test_other_columns_and_the_target_pass_through(model: LoadedModel, tmp_path: Path) -> None:
    some = [{"key": f"k{number}", **row, "churned": "no", "extra": number} for number, row in enumerate(rows(3))]
    predict(model, write_csv(tmp_path / "in.csv", some), tmp_path / "out.csv")
    written = pd.read_csv(tmp_path / "out.csv")
    assert list(written.columns) == ["key", *COLUMNS, "churned", "extra", *ADDED]
    assert written["extra"].tolist() == [0, 1, 2]


def text_in_a_number(some: list[dict[str, Any]]) -> None:
    some[25]["income"] = "many"


def fraction_in_an_integer(some: list[dict[str, Any]]) -> None:
    some[25]["age"] = 44.5


def gap_where_none_may_be(some: list[dict[str, Any]]) -> None:
    some[25]["score"] = None


def no_date(some: list[dict[str, Any]]) -> None:
    some[25]["joined"] = "soon"


def lacks_a_column(some: list[dict[str, Any]]) -> None:
    for row in some:
        del row["income"]


def has_a_prediction(some: list[dict[str, Any]]) -> None:
    for row in some:
        row["prediction"] = "no"


def has_a_probability(some: list[dict[str, Any]]) -> None:
    for row in some:
        row["probability_yes"] = 0.5


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (text_in_a_number, "in.csv: row 25, counted from 0: column 'income' is 'many', expected a number."),
        (fraction_in_an_integer, "in.csv: row 25, counted from 0: column 'age' is '44.5', expected a whole number."),
        (
            gap_where_none_may_be,
            "in.csv: row 25, counted from 0: column 'score' is missing, expected a number; the contract says it is never missing.",
        ),
        (no_date, "in.csv: row 25, counted from 0: column 'joined' is 'soon', expected an ISO 8601 date or time."),
        (
            lacks_a_column,
            "in.csv lacks the column 'income'; people version 1 needs age, income, vip, town, joined, score, secret.",
        ),
        (
            has_a_prediction,
            "in.csv already has a column 'prediction', which the predictions would overwrite. Rename or remove it.",
        ),
        (
            has_a_probability,
            "in.csv already has a column 'probability_yes', which the predictions would overwrite. Rename or remove it.",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_invalid_table_is_refused_in_one_sentence_and_nothing_is_written(
    spoil: Callable[[list[dict[str, Any]]], None],
    sentence: str,
    model: LoadedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_module, "ROWS_AT_A_TIME", 10)
    some = rows(40)
    spoil(some)
    file = write_csv(tmp_path / "in.csv", some)
    (tmp_path / "out.csv").write_text("what was there", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        predict(model, file, tmp_path / "out.csv")
    assert str(caught.value) == f"{tmp_path}{os.sep}{sentence}"
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("in.csv", b"", "is empty"),
        ("in.csv", b",".join(name.encode() for name in COLUMNS) + b"\n", "has a header but no rows to predict"),
        ("in.csv", b"\xff\xfe,b\n1,2\n", "is not UTF-8"),
        ("in.parquet", b"PAR1 no, not really", "is not a Parquet file"),
        ("in.xlsx", b"x", "ends in '.xlsx', expected one of"),
    ],
    ids=["empty", "header-only", "bytes", "no-parquet", "suffix"],
)
def test_a_file_that_is_not_a_table_is_refused_in_one_sentence(
    name: str, content: bytes, sentence: str, model: LoadedModel, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        predict(model, tmp_path / name, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_file_is_not_found(model: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        predict(model, tmp_path / "in.csv", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("out.xlsx", "ends in '.xlsx'"),
        ("out", "ends in 'nothing'"),
        ("nowhere/out.csv", "does not exist. Create it first"),
        ("in.csv", "is .* itself"),
        ("folder.csv", "is a folder"),
    ],
)
def test_an_invalid_output_is_refused(out: str, sentence: str, model: LoadedModel, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "in.csv", rows(3))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=sentence):
        predict(model, file, tmp_path / out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "in.csv"]


def test_a_model_that_fails_halfway_leaves_nothing(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "ROWS_AT_A_TIME", 10)
    calls: list[int] = []
    real = predict_table

    def failing(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError
        return real(*args)

    monkeypatch.setattr("platform_lib.serving.predict_file.predict_table", failing)
    with pytest.raises(MemoryError):
        predict(model, write_csv(tmp_path / "in.csv", rows(40)), tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.skipif(
    os.name == "nt" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="such a folder stops nobody here"
)
def test_a_read_only_folder_is_refused(model: LoadedModel, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    with pytest.raises(PlatformError, match="is not writable"):
        predict(model, write_csv(tmp_path / "in.csv", rows(3)), locked / "out.csv")


def test_labels_that_are_not_text_keep_their_type(tmp_path: Path) -> None:
    import msgspec
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    from platform_lib.training.features import standard_features
    from tests.serving.sample_models import frame_of

    some = rows(40)
    truth = np.array([row["score"] > 0 for row in some])
    pipeline = Pipeline([("f", standard_features(CLASSIFICATION)), ("m", LogisticRegression())]).fit(
        frame_of(some, CLASSIFICATION), truth
    )
    contract = msgspec.structs.replace(CLASSIFICATION)
    predict(loaded(pipeline, contract), write_csv(tmp_path / "in.csv", some), tmp_path / "out.parquet")
    predict(loaded(pipeline, contract), tmp_path / "in.csv", tmp_path / "out.csv")
    assert (
        pd.read_parquet(tmp_path / "out.parquet")["prediction"].tolist()
        == pipeline.predict(frame_of(some, CLASSIFICATION)).tolist()
    )
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith(",prediction,probability_false,probability_true")
    assert {line.split(",")[7] for line in lines[1:]} == {"true", "false"}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_memory_does_not_grow_with_the_tables_size(
    suffix: str, model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "ROWS_AT_A_TIME", 1000)
    some = rows(1000)

    def peak(times: int) -> int:
        file, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
        write_parquet(file, some * times) if suffix == ".parquet" else write_csv(file, some * times)
        predict(model, file, out)  # the first run imports and caches things, which does not count
        tracemalloc.start()
        predict(model, file, out)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(40) < 3 * peak(4)  # a tenth of the rows; memory that grows with the table would be ten times as much
