"""Atomic, durable writes: a reader sees the old file or the new one, also after a crash."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_replacement(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Yield an empty draft beside `path` that replaces it when the block ends, and is removed when the block fails.

    Args:
        path: The file to write. Its folder must exist.
        mode: Permission bits of the new file. By default those of the file that it replaces, else what the umask gives.
            Root also keeps the owner, so that a program of that user can still read the file.
    Raises:
        OSError: The draft cannot be written, or `path` cannot be replaced.
    """
    draft = path.with_name(f".{path.stem}-{secrets.token_hex(6)}{path.suffix}")
    try:
        # Nobody else may read a secret while it is written.
        wanted = path.stat().st_mode & 0o777 if mode is None and path.exists() else mode
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if wanted is None else wanted | 0o600))
        yield draft
        if path.exists():
            before = path.stat()
            mode = before.st_mode & 0o777 if mode is None else mode
            if os.name == "posix" and os.geteuid() == 0:
                with suppress(PermissionError):  # a container's root may lack the capability
                    os.chown(draft, before.st_uid, before.st_gid)
        if mode is not None:
            draft.chmod(mode)
        move_into_place(draft, path)
    except OSError as err:
        # A full disk is reported without a name; other errors have that of the draft.
        if err.filename == str(draft) or (err.filename is None and err.errno in _FULL):
            err.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Replace a file's content in one step. Text is written as UTF-8, with its line ends unchanged.

    Args:
        path: The file to write. Its folder must exist.
        content: All of the new content.
        mode: As for `atomic_replacement`.
    Raises:
        OSError: The file cannot be written or replaced.
    """
    with atomic_replacement(path, mode=mode) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def move_into_place(source: Path, target: Path) -> None:
    """Replace `target` by a finished file of the same file system, and wait until the disk has both content and name.

    Raises:
        OSError: `target` cannot be replaced, such as on Windows while another program has it open.
    """
    _sync(source)
    source.replace(target)
    _sync_folder(target.parent)


def make_durable(path: Path) -> None:
    """Wait until the disk has a file's content and its name.

    Raises:
        OSError: The file does not exist or cannot be read.
    """
    _sync(path)
    _sync_folder(path.parent)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:  # Windows syncs only what is open for writing
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows has no handle of a folder; NTFS keeps renames in its journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
