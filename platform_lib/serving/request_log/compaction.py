"""Merge the request log's many small files into one file per day.

No row is lost or read twice at any moment, even after a crash. A merged file lists in its metadata the files that it
replaces, and readers skip those. The merged file is written completely before the replaced files are deleted. A crash
in between leaves files that the next call deletes. Servers may write meanwhile.
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
from platform_lib.storage_errors import storage_error


def compact(folder: LogFolder, kind: str, today: date | None = None) -> tuple[int, int]:
    """Merge the files of each past day into one.

    Args:
        folder: The request log.
        kind: `PREDICTIONS` or `LABELS`.
        today: The day that is skipped, because servers still write to it; None is today in UTC, as servers use it.
    Returns:
        The number of files before and after.
    Raises:
        ServiceError: The files cannot be read, written or deleted. No row is lost.
    """
    skipped_day = f"date={(today or datetime.now(UTC).date()).isoformat()}"
    for attempt in range(ATTEMPTS):
        try:
            files = folder.files(kind)
            days: dict[str, list[str]] = {}
            for file in files:
                days.setdefault(file.rsplit("/", 1)[0], []).append(file)
            for day, members in days.items():
                if not day.endswith(skipped_day):
                    _merge(folder, day, members)
            return len(files), len(folder.files(kind))
        except (OSError, pa.ArrowException) as err:
            if isinstance(err, FileNotFoundError) and attempt + 1 < ATTEMPTS:
                continue  # another process merges at the same time: list the files again
            raise storage_error(err, file=folder.path) or ServiceError(
                f"cannot merge the request log in {folder.path}: {err}. No row is lost; call it again."
            ) from err
    raise AssertionError("the last attempt returns or raises")


def _merge(folder: LogFolder, day: str, files: list[str]) -> None:
    schemas = folder.schemas(files)
    replaced = replaced_files(schemas)
    _delete(folder, replaced & set(files))  # left by an interrupted merge
    members = {file: schema for file, schema in schemas.items() if file not in replaced}
    if len(members) < 2:
        return
    names = {file.rsplit("/", 1)[1] for file in members}
    for schema in members.values():
        names |= replaced_names(schema)
    # The name is a hash of the replaced names, so two processes that merge the same files write the same file.
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
            continue  # another process has merged them
