"""The request log's files: many versions read as one table."""

from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from platform_lib.errors import NotFound, ServiceError
from platform_lib.serving.request_log.compaction import compact
from platform_lib.serving.request_log.files import PREDICTIONS, LogFolder
from tests.serving.request_log.logged import DAY, write_file


def test_reading_since_a_time_skips_older_rows_and_files_of_older_days(folder: LogFolder) -> None:
    yesterdays = write_file(folder, ["old"], {}, {}, day=4)
    write_file(folder, ["before"], {}, {"time": DAY.replace(day=5, hour=0)}, day=5)
    write_file(folder, ["at", "after"], {}, {}, day=5)
    since = DAY.replace(day=5)
    assert sorted(folder.read(PREDICTIONS, since=since, columns=["request_id", "time"])["request_id"].to_pylist()) == [
        "after",
        "at",
    ]
    Path(yesterdays).write_bytes(b"broken")
    assert len(folder.read(PREDICTIONS, since=since)) == 2
    with pytest.raises(ServiceError):
        folder.read(PREDICTIONS)
    with pytest.raises(NotFound):
        folder.read(PREDICTIONS, since=DAY.replace(day=6))


VERSIONS: dict[str, tuple[list[tuple[dict[str, str], dict[str, Any]]], list[Any]]] = {
    "added": ([({}, {}), ({"x": "integer"}, {"x": 3})], [None, 3]),
    "removed": ([({"x": "string"}, {"x": "a"}), ({}, {})], ["a", None]),
    "whole to number": ([({"x": "integer"}, {"x": 3}), ({"x": "number"}, {"x": 1.5})], [3.0, 1.5]),
    "number to text": ([({"x": "number"}, {"x": 1.5}), ({"x": "string"}, {"x": "a"})], ["1.5", "a"]),
    "boolean to text": ([({"x": "boolean"}, {"x": True}), ({"x": "string"}, {"x": "a"})], ["true", "a"]),
    "boolean to whole": ([({"x": "boolean"}, {"x": True}), ({"x": "integer"}, {"x": 7})], ["true", "7"]),
    "thrice": (
        [({"x": "integer"}, {"x": 3}), ({"x": "number"}, {"x": 1.5}), ({"x": "string"}, {"x": "a"})],
        ["3", "1.5", "a"],
    ),
    "always missing": ([({"x": "integer"}, {"x": None}), ({"x": "string"}, {"x": "a"})], [None, "a"]),
}


@pytest.mark.parametrize("merge", [False, True], ids=["as written", "merged"])
@pytest.mark.parametrize(("versions", "expected"), VERSIONS.values(), ids=VERSIONS)
def test_a_column_that_was_added_removed_or_retyped_is_one_column(
    folder: LogFolder,
    versions: list[tuple[dict[str, str], dict[str, Any]]],
    expected: list[Any],
    *,
    merge: bool,
) -> None:
    for number, (columns, values) in enumerate(versions):
        write_file(folder, [f"r{number}"], columns, values)
    if merge:
        assert compact(folder, PREDICTIONS) == (len(versions), 1)
    rows = sorted(folder.read(PREDICTIONS).to_pylist(), key=lambda row: str(row["request_id"]))
    assert [row["x"] for row in rows] == expected


def test_a_model_that_changed_from_classes_to_numbers_stays_readable(folder: LogFolder) -> None:
    write_file(folder, ["a"], {}, {})
    write_file(folder, ["b"], {}, {}, task="regression")
    assert sorted(row["prediction"] for row in folder.read(PREDICTIONS).to_pylist()) == ["1.5", "yes"]


def test_only_the_requested_columns_are_read(folder: LogFolder) -> None:
    write_file(folder, ["a"], {"x": "integer"}, {"x": 3})
    assert folder.read(PREDICTIONS, columns=["time", "x"]).column_names == ["time", "x"]


def test_a_local_location_may_be_a_uri(tmp_path: Path) -> None:
    folder = LogFolder.at(f"file://{tmp_path}")
    assert isinstance(folder.filesystem, fs.LocalFileSystem)
    assert folder.path == str(tmp_path)
