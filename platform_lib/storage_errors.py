"""Say in plain words what a failed disk or SQLite file means: what failed, what is not lost, and what to do."""

import errno
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from platform_lib.errors import StorageError

_AGAIN = "then run the command again."
_NO_SPACE = f"Free some space, {_AGAIN}"
_FULL_BELOW_BYTES = 2**20
_MAGIC = b"SQLite format 3\0"
_ERRNO_IN_TEXT = re.compile(r"\[[Ee]rrno (\d+)\]")

# SQLite's primary result codes, https://www.sqlite.org/rescode.html
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_TEXTS = {
    "database is locked": sqlite3.SQLITE_BUSY,
    "database or disk is full": sqlite3.SQLITE_FULL,
    "readonly database": sqlite3.SQLITE_READONLY,
    "disk image is malformed": sqlite3.SQLITE_CORRUPT,
    "file is not a database": sqlite3.SQLITE_NOTADB,
    "disk I/O error": sqlite3.SQLITE_IOERR,
    "unable to open database file": sqlite3.SQLITE_CANTOPEN,
}


def storage_error(
    err: BaseException, store: Path | str | None = None, *, file: Path | str | None = None
) -> StorageError | None:
    """Explain an error that a disk or an SQLite file caused.

    Args:
        err: Any error. Errors that it was explicitly raised from are examined, too.
        store: The SQLite file that was in use, or a name for one elsewhere.
        file: What was read or written, for errors of the disk that name no file.
    Returns:
        The error to raise instead; None if `err` has another cause.
    """
    for each in _causes(err):
        found: StorageError | None = None
        if isinstance(each, StorageError):
            return each
        if isinstance(each, sqlite3.Error):
            found = _sqlite(each, store)
        elif isinstance(each, OSError):
            found = _disk(each, _name(each) or str(file or ""))
        if found is not None:
            return found
    return None


def server_storage_error(text: str, server: str) -> StorageError | None:
    """Explain the message of a server whose own database failed, by SQLite's texts; None for another message."""
    for part, code in _TEXTS.items():
        if part in text:
            return _of_code(code, f"the database of {server}", part, None)
    return None


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    """The error and those that caused it. A context is none: it may be an error that was handled before a bug."""
    seen: set[int] = set()
    while err is not None and id(err) not in seen:
        seen.add(id(err))
        yield err
        original = getattr(err, "orig", None)  # SQLAlchemy's name for the database's error
        err = original if isinstance(original, BaseException) else err.__cause__


def _disk(err: OSError, name: str) -> StorageError | None:
    code = err.errno
    if code is None and (match := _ERRNO_IN_TEXT.search(str(err))):  # shutil.Error lists what failed
        code = int(match[1])
    if code == errno.ENOSPC:
        place = name or _full_folder()
        return StorageError(f"the disk{f' of {place}' if place else ''} is full.", _NO_SPACE)
    if code == errno.EDQUOT:
        return StorageError(
            f"your disk quota{f' for {name}' if name else ''} is used up.",
            f"Delete files, or ask for a larger quota, {_AGAIN}",
        )
    if code == errno.EFBIG:
        return StorageError(
            f"{name or 'a file'} would become larger than the system allows.",
            f"Raise the limit on file sizes (`ulimit -f`), or use another file system, {_AGAIN}",
        )
    if code == errno.EROFS:
        return StorageError(
            f"{name or 'a file'} cannot be written, because its file system is read-only.",
            f"Mount it writable, or work in a copy of the project on another disk, {_AGAIN}",
        )
    if code in (errno.EACCES, errno.EPERM) and name:
        return StorageError(
            f"permission denied: this user may not read or write {name}.",
            f"Change the owner or the permissions of the file and its folder, {_AGAIN}",
        )
    if code in (errno.EMFILE, errno.ENFILE):
        return StorageError(
            f"too many files are open{f', so {name} cannot be opened' if name else ''}.",
            f"Raise the limit on open files (`ulimit -n 4096`), {_AGAIN}",
        )
    if code in (errno.EIO, getattr(errno, "ESTALE", errno.EIO)):
        return StorageError(
            f"the disk failed while it read or wrote {name or 'a file'}.",
            f"Check the disk and its mount (`dmesg`), and copy the project to another disk, {_AGAIN}",
        )
    if isinstance(err, FileNotFoundError) and "temporary directory" in str(err):  # Python's tempfile
        return StorageError(
            "no folder for temporary files can be written.",
            f"Free some space in /tmp, or name another folder with TMPDIR, {_AGAIN}",
        )
    return None


def _name(err: OSError) -> str:
    """The file of an error; of two, the one written to."""
    name = err.filename2 or err.filename
    return os.fsdecode(name) if isinstance(name, str | bytes) else "" if name is None else str(name)


def _full_folder() -> str:
    """The folder in use whose disk is full: Python does not say which file could not be written."""
    with suppress(OSError):
        for folder in (Path.cwd(), Path(tempfile.gettempdir()), Path.home()):
            if shutil.disk_usage(folder).free < _FULL_BELOW_BYTES:
                return str(folder)
    return ""


def _sqlite(err: sqlite3.Error, store: Path | str | None) -> StorageError | None:
    code: int | None = getattr(err, "sqlite_errorcode", None)
    if code is None:
        code = next((code for part, code in _TEXTS.items() if part in str(err)), None)
    if code is None:
        return None
    code &= 0xFF  # without the detail
    if code == sqlite3.SQLITE_ERROR and isinstance(store, Path) and "no such table" in str(err):
        code = sqlite3.SQLITE_NOTADB
    if code == sqlite3.SQLITE_CANTOPEN and isinstance(store, Path):
        code = _why_not_opened(store.parent)
    return _of_code(code, str(store or "an SQLite file"), str(err), store if isinstance(store, Path) else None)


def _why_not_opened(folder: Path) -> int:
    """SQLite needs a second file beside the store to write, and says the same whatever keeps it from creating it."""
    with suppress(OSError, AttributeError):  # Windows has no statvfs
        if os.statvfs(folder).f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK):
            return sqlite3.SQLITE_READONLY
        if shutil.disk_usage(folder).free < _FULL_BELOW_BYTES:
            return sqlite3.SQLITE_FULL
    return sqlite3.SQLITE_CANTOPEN


def _of_code(code: int, name: str, reason: str, file: Path | None) -> StorageError | None:
    if code in _LOCKED:
        return StorageError(
            f"{name} is locked: {holders(file) if file else 'another process'} is using it. Nothing in it is lost.",
            f"Wait until that process ends, {_AGAIN} Leave the file where it is.",
        )
    if code == sqlite3.SQLITE_FULL:
        return StorageError(f"the disk of {name} is full. Nothing in it is lost.", _NO_SPACE)
    if code == sqlite3.SQLITE_READONLY:
        return StorageError(
            f"{name} cannot be written: the file, its folder or its file system is read-only. Nothing in it is lost.",
            f"Make it writable, {_AGAIN}",
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StorageError(
            f"{name} cannot be opened ({reason}). Nothing in it is lost.",
            "Check the permissions of the file and its folder, the free space, and the limit on open files "
            f"(`ulimit -n`), {_AGAIN}",
        )
    if code == sqlite3.SQLITE_IOERR:
        return StorageError(
            f"the disk failed while it read or wrote {name}.",
            f"Check the disk, its free space and its mount (`dmesg`), and make a copy of the file, {_AGAIN}",
            is_damage=True,
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(name, reason, file)
    if code == sqlite3.SQLITE_NOTADB:
        return foreign(name, reason, file)
    return None


def damaged(name: str, reason: str, file: Path | None) -> StorageError:
    """The error for a store of which SQLite cannot read a part."""
    shown = file.name if file else "mlflow.db"
    return StorageError(
        f"{name} is damaged ({' '.join(reason.split())}). {_intact(file)}",
        "Make a copy of it first. Then restore it from a backup, or recover what can be read with "
        f"`sqlite3 {shown} .recover | sqlite3 recovered.db` (docs/registry.md has another way where that fails), and "
        "put recovered.db in its place.",
        is_damage=True,
    )


def foreign(name: str, reason: str, file: Path | None) -> StorageError:
    """The error for a file that is not an MLflow store: overwritten, empty, or of another program."""
    if file is not None and _is_sqlite(file):
        state = f"is an SQLite database, but not an MLflow store ({reason})"
    elif file is not None and _is_empty(file):
        state = "is empty, and so not an MLflow store"
    else:
        state = "is not an MLflow store: it is no SQLite database, or its beginning was overwritten"
    return StorageError(
        f"{name} {state}. {_intact(file)}",
        "If it was this project's registry, keep a copy of it and restore it from a backup. If it belongs to another "
        "program, move it to that program's folder; the next `mlp train` creates a store.",
        is_damage=True,
    )


def _intact(file: Path | None) -> str:
    if file is None:
        return "The files of the models are stored apart from it."
    return f"The files of the models are stored apart from it, in {file.parent / 'artifacts'}."


def _is_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return content.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _is_empty(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except OSError:
        return False


def holders(file: Path) -> str:
    """The other processes of this user that have a file open, such as `process 123 (python)`."""
    found, real = [], os.path.realpath(file)
    with suppress(ImportError):  # not in the serving extra
        import psutil

        for process in psutil.process_iter(["pid", "name"]):
            if process.pid == os.getpid():
                continue
            with suppress(psutil.Error, OSError):
                if any(opened.path == real for opened in process.open_files()):
                    found.append(f"process {process.pid} ({process.name()})")
    return ", ".join(found[:3]) or "another process"
