"""Compaction of the request log loses and duplicates no row, even with concurrent access."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from platform_lib.cli.serving.log import command
from platform_lib.errors import ServiceError
from platform_lib.serving.request_log.compaction import compact
from platform_lib.serving.request_log.files import LABEL_SCHEMA, LABELS, PREDICTIONS, LogFolder
from tests.serving.request_log.logged import DAY, request_ids, write_file


def test_each_finished_day_becomes_one_file_and_today_is_unchanged(folder: LogFolder) -> None:
    for number, day in enumerate((5, 5, 5, 6, 7, 7)):
        write_file(folder, [f"{day}-{number}"], {}, {}, day=day)
    before = request_ids(folder)
    assert compact(folder, PREDICTIONS, today=DAY.replace(day=7).date()) == (6, 4)
    assert request_ids(folder) == before
    assert compact(folder, PREDICTIONS, today=DAY.replace(day=7).date()) == (4, 4)


def test_identical_rows_are_all_kept(folder: LogFolder) -> None:
    rows = [{"request_id": "r", "row": 0, "time": DAY, "label": label} for label in ("no", "yes", "yes")]
    for sequence in range(2):
        folder.write(LABELS, pa.Table.from_pylist(rows, schema=LABEL_SCHEMA), DAY, sequence)
    compact(folder, LABELS)
    assert sorted(row["label"] for row in folder.read(LABELS).to_pylist()) == ["no", "no", "yes", "yes", "yes", "yes"]


class Crash(BaseException):
    """Simulates the death of the process."""


class Failing:
    """A file system that fails at one of its steps and counts them."""

    def __init__(self, real: Any, at: int, err: BaseException) -> None:
        self._real, self._left, self._err = real, at, err

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name not in ("delete_file", "move", "create_dir"):
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            if self._left == 0:
                raise self._err
            self._left -= 1
            return found(*args, **kwargs)

        return counted


@pytest.mark.parametrize("step", range(6))
@pytest.mark.parametrize("err", [Crash(), OSError("no space left")], ids=["crash", "error"])
def test_a_merge_interrupted_at_any_step_loses_and_duplicates_nothing(
    folder: LogFolder, step: int, err: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write_file(folder, [f"r{number}"], {}, {})
    real_read, real_write = pq.read_table, pq.write_table
    broken = LogFolder(Failing(folder.filesystem, step, err), folder.path)  # type: ignore[arg-type]
    # pyarrow wants its own file system; the steps that matter go through ours.
    monkeypatch.setattr(pq, "read_schema", lambda file, filesystem: pq.ParquetFile(file).schema_arrow)
    monkeypatch.setattr(
        pq, "read_table", lambda file, filesystem, **kwargs: real_read(file, filesystem=folder.filesystem, **kwargs)
    )
    monkeypatch.setattr(
        pq,
        "write_table",
        lambda table, where, filesystem, **kwargs: real_write(table, where, filesystem=folder.filesystem, **kwargs),
    )
    with pytest.raises((Crash, ServiceError)):
        compact(broken, PREDICTIONS)
    assert request_ids(folder) == ["r0", "r1", "r2", "r3"]
    compact(folder, PREDICTIONS)
    assert request_ids(folder) == ["r0", "r1", "r2", "r3"]
    assert len(folder.files(PREDICTIONS)) == 1


def test_a_late_row_is_merged_the_next_time(folder: LogFolder) -> None:
    for each in ("a", "b"):
        write_file(folder, [each], {}, {})
    compact(folder, PREDICTIONS)
    write_file(folder, ["late"], {"x": "integer"}, {"x": 1})
    assert request_ids(folder) == ["a", "b", "late"]
    compact(folder, PREDICTIONS)
    assert request_ids(folder) == ["a", "b", "late"]
    assert len(folder.files(PREDICTIONS)) == 1


def before_a_slow_merge(folder: LogFolder) -> tuple[list[str], str, bytes]:
    """Write files of the rows a, b and c, as left by a slow merge that saw only the first two.

    Returns:
        The paths of a and b, and path and content of the merged file that is still to be written.
    """
    files = [write_file(folder, [each], {}, {}) for each in ("a", "b")]
    kept = {file: Path(file).read_bytes() for file in files}
    compact(folder, PREDICTIONS)
    (merged,) = folder.files(PREDICTIONS)
    content = Path(merged).read_bytes()
    Path(merged).unlink()
    for file, bytes_ in kept.items():
        Path(file).write_bytes(bytes_)
    write_file(folder, ["c"], {}, {})
    return files, merged, content


def test_concurrent_merges_of_different_files_keep_each_row_once(folder: LogFolder, tmp_path: Path) -> None:
    _, first, first_bytes = before_a_slow_merge(folder)
    compact(folder, PREDICTIONS)
    Path(first).write_bytes(first_bytes)  # the slower merge finishes
    assert request_ids(folder) == ["a", "b", "c"]
    compact(folder, PREDICTIONS)
    assert request_ids(folder) == ["a", "b", "c"]
    assert len(folder.files(PREDICTIONS)) == 1


def once_at_the_first_schema(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Run an action between the listing and the first file's schema read."""
    real = pq.read_schema

    def read_schema(file: str, filesystem: Any) -> Any:
        monkeypatch.setattr(pq, "read_schema", real)
        happens()
        return real(file, filesystem=filesystem)

    monkeypatch.setattr(pq, "read_schema", read_schema)


def test_a_reader_lists_again_if_its_files_were_merged_meanwhile(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write_file(folder, [each], {}, {}) for each in ("a", "b")]
    kept = Path(files[1]).read_bytes()

    def merge_and_delete_the_first() -> None:
        compact(folder, PREDICTIONS)
        Path(files[1]).write_bytes(kept)

    once_at_the_first_schema(monkeypatch, merge_and_delete_the_first)
    assert request_ids(folder) == ["a", "b"]


def test_a_merge_whose_files_were_merged_meanwhile_duplicates_nothing(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, other, others_bytes = before_a_slow_merge(folder)

    def the_other_merge_deletes_its_first() -> None:
        Path(other).write_bytes(others_bytes)
        Path(files[0]).unlink()

    once_at_the_first_schema(monkeypatch, the_other_merge_deletes_its_first)
    compact(folder, PREDICTIONS)
    assert request_ids(folder) == ["a", "b", "c"]


@pytest.mark.slow
def test_concurrent_writers_readers_and_merges_never_lose_or_duplicate_a_row(folder: LogFolder) -> None:
    written: list[str] = []
    seen: list[list[str]] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                while not stop.is_set():
                    work()
            except BaseException as err:
                failures.append(err)

        return run

    def one_write() -> None:
        name = f"r{len(written):05}"
        write_file(folder, [name], {}, {})
        written.append(name)
        stop.wait(0.02)

    def one_read() -> None:
        at_least = list(written)
        found = request_ids(folder) if at_least else []
        assert len(found) == len(set(found)), "a row twice"
        assert set(at_least) <= set(found), "a row lost"
        seen.append(found)

    def one_merge() -> None:
        try:
            compact(folder, PREDICTIONS)
        except ServiceError as err:
            assert "No row is lost" in str(err)
        stop.wait(0.02)

    threads = [threading.Thread(target=guarded(work)) for work in (one_write, one_read, one_merge, one_merge)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while (len(seen) < 5 or len(written) < 20) and not failures and time.monotonic() < deadline:
        stop.wait(0.02)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    compact(folder, PREDICTIONS)
    assert request_ids(folder) == written
    assert len(folder.files(PREDICTIONS)) == 1


def test_the_commands_show_and_merge_the_log(folder: LogFolder, tmp_path: Path) -> None:
    for each in ("a", "b"):
        write_file(folder, [each], {"x": "integer"}, {"x": 3, "probabilities": [("no", 0.25), ("yes", 0.75)]})
    run = CliRunner().invoke
    shown = run(command, ["show", str(tmp_path), "--last", "1"])
    (line,) = shown.stdout.splitlines()
    assert json.loads(line)["probabilities"] == {"no": 0.25, "yes": 0.75}
    assert json.loads(line)["x"] == 3
    out = tmp_path / "all.parquet"
    assert run(command, ["show", str(tmp_path), "--out", str(out)]).exit_code == 0
    assert pq.read_table(out).num_rows == 2
    merged = run(command, ["compact", str(tmp_path)])
    assert merged.stdout == "predictions: 2 files before, 1 after.\nlabels: 0 files before, 0 after.\n"
    assert len(run(command, ["show", str(tmp_path)]).stdout.splitlines()) == 2
