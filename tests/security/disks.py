"""Real disks for tests: a small one that can be filled, a read-only view, and locks of other processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = "ballast"
LOCK = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mounting a file system is not permitted here: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own, in memory, at `folder` until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(disk: Path, *, leaving: int = 0) -> Iterator[None]:
    """The disk without a free byte, or with so many, until the block ends."""
    ballast = disk / BALLAST
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (2**20, 2**12, 1):
            while True:
                try:
                    os.write(handle, b"\0" * size)
                except OSError:
                    break
        os.truncate(handle, os.fstat(handle).st_size - leaving)
        yield
    finally:
        os.close(handle)
        ballast.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder on a read-only mount until the block ends."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def locked(database: Path) -> Iterator[int]:
    """Another process's exclusive transaction in an SQLite file; yields its id."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline().strip() == "locked"
        try:
            yield process.pid
        finally:
            process.stdin.close()
            process.wait()
