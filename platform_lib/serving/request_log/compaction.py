"""Merge the request log's many small files into one a day, so that no moment and no crash loses a row or shows it twice.

A merged file says in its metadata which files it stands for, and readers leave those out. So the order is: write the merged file, whole; then delete
what it stands for. A crash before is nothing, one in between is tidied by the next call, and servers may write meanwhile.
"""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from platform_lib.errors import ServiceError
from platform_lib.files import make_durable
from platform_lib.serving.request_log.files import ATTEMPTS, MERGED, REPLACES, LogFolder, replaced_files, replaced_names


def compact(folder: LogFolder, kind: str, today: date | None = None) -> tuple[int, int]:
    """Merge each finished day's files into one.

    Args:
        kind: Predictions or labels.
        today: Left alone, since servers still write there; None is today in UTC, as servers see it.
    Returns:
        The number of files before and after.
    Raises:
        ServiceError: The files cannot be read, written or deleted; no row is lost.
    """
    left_alone = f"date={(today or datetime.now(UTC).date()).isoformat()}"
    for attempt in range(ATTEMPTS):
        try:
            files = folder.files(kind)
            days: dict[str, list[str]] = {}
            for file in files:
                days.setdefault(file.rsplit("/", 1)[0], []).append(file)
            for day, members in days.items():
                if not day.endswith(left_alone):
                    _merge(folder, day, members)
            return len(files), len(folder.files(kind))
        except (OSError, pa.ArrowException) as err:
            if isinstance(err, FileNotFoundError) and attempt + 1 < ATTEMPTS:
                continue  # somebody else merges too: what is there now is looked up anew
            raise ServiceError(
                f"cannot merge the request log in {folder.path}: {err}. No row is lost; call it again."
            ) from err
    raise AssertionError("the last attempt returns or raises")


def _merge(folder: LogFolder, day: str, files: list[str]) -> None:
    schemas = folder.schemas(files)
    gone = replaced_files(schemas)
    _delete(folder, gone & set(files))  # what an earlier merge left behind
    members = {file: schema for file, schema in schemas.items() if file not in gone}
    if len(members) < 2:
        return
    names = {file.rsplit("/", 1)[1] for file in members}
    for schema in members.values():
        names |= replaced_names(schema)
    # Named by what it stands for: two who merge the same at once write the same file.
    target = f"{MERGED}{hashlib.sha256(' '.join(sorted(names)).encode()).hexdigest()[:32]}.parquet"
    table = folder.read_files(members).sort_by("time")
    merged = folder.put(table.replace_schema_metadata({REPLACES: json.dumps(sorted(names))}), day, target)
    if isinstance(folder.filesystem, fs.LocalFileSystem):
        # It may still be in the system's memory when those that it stands for are deleted on the disk.
        make_durable(Path(merged))
    _delete(folder, set(members))


def _delete(folder: LogFolder, files: set[str]) -> None:
    for file in sorted(files):
        try:
            folder.filesystem.delete_file(file)
        except FileNotFoundError:
            continue  # another merge was faster
