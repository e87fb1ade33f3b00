"""Labels from a file."""

from pathlib import Path

import pandas as pd
import pytest

from platform_lib.errors import NotFound, UsageError
from platform_lib.monitoring.label_file import add_labels
from platform_lib.serving.request_log.files import LABELS
from tests.monitoring.logs import log_in


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_labels_are_added_as_the_server_would_store_them(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"request_id": ["a", " b"], "row": [0, 2], "label": [3.0, 4.5]})
    file = tmp_path / f"truth.{suffix}"
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file, index=False)
    assert add_labels(log_in(tmp_path), file) == 2
    stored = log_in(tmp_path).read(LABELS).to_pylist()
    assert [(row["request_id"], row["row"], float(row["label"])) for row in stored] == [("a", 0, 3.0), ("b", 2, 4.5)]


def test_without_a_row_the_first_of_a_request_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("request_id,label,comment\n007,yes,fine\n", encoding="utf-8")
    add_labels(log_in(tmp_path), file)
    assert [(row["request_id"], row["row"]) for row in log_in(tmp_path).read(LABELS).to_pylist()] == [("007", 0)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "id,label\na,yes\n", "has the columns id, label; expected request_id, label and"),
        ("t.csv", "request_id,label\n", "has no rows"),
        ("t.csv", "request_id,label\na,\n", "label is missing in some rows"),
        ("t.csv", "request_id,label\n ,yes\n", "request_id is missing in some rows"),
        ("t.csv", "request_id,label,row\na,yes,1.5\n", "row has a value that is no whole number"),
        ("t.csv", "request_id,label,row\na,yes,-1\n", "row is negative"),
        ("t.csv", "", "cannot be read"),
        ("t.xlsx", "x", "is neither .csv nor .parquet"),
    ],
)
def test_a_wrong_file_writes_nothing(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        add_labels(log_in(tmp_path), file)
    with pytest.raises(NotFound):
        log_in(tmp_path).read(LABELS)
