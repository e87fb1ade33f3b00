"""The file `.mlp/platform.json`: which processes are ours. `processes` says whether they live; `settings` reads addresses from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from platform_lib.errors import ServiceError, UsageError
from platform_lib.files import write_atomically


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A service that was started."""

    pid: int
    create_time: float
    """Of the process, seconds since the epoch: a number that is used again later has another one."""
    url: str
    port: int
    health_url: str
    log: str
    command: tuple[str, ...]
    fingerprint: str
    clients_of: tuple[str, ...] = ()


class _File(msgspec.Struct, kw_only=True):
    root: str = ""
    services: dict[str, Record] = {}


class PlatformState:
    """The records of one project's services."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".mlp"
        self.file = self.folder / "platform.json"
        self.logs = self.folder / "logs"

    def load(self) -> dict[str, Record]:
        """The records by service name; empty when there are none, they are unreadable, or they came with a copy of another project."""
        try:
            read = msgspec.json.decode(self.file.read_bytes(), type=_File)
        except (OSError, msgspec.MsgspecError):
            return {}
        return {} if self._is_copy_of(read.root) else read.services

    def _is_copy_of(self, other: str) -> bool:
        # A folder that was moved keeps its services; a copy has none, they belong to the original that is still there.
        return bool(other) and Path(other) != self.root and (Path(other) / ".mlp" / "platform.json").is_file()

    def save(self, services: dict[str, Record]) -> None:
        """Replace the file in one step; without services it is removed.

        Raises:
            ServiceError: The folder cannot be written to.
        """
        with self.writable():
            if not services:
                self.file.unlink(missing_ok=True)
                return
            encoded = msgspec.json.encode(_File(root=str(self.root), services=services))
            write_atomically(self.file, msgspec.json.format(encoded, indent=2))

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Turn what the disk says into one sentence."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as err:
            raise ServiceError(
                f"cannot write to {self.folder}: {err.strerror or err}. "
                "Free some space there, or make the folder yours to write to; then run `mlp up` again."
            ) from err

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other `mlp up` and `mlp down` of this project away.

        Raises:
            UsageError: One of them is at work right now.
        """
        from filelock import FileLock, Timeout

        with self.writable():
            lock = FileLock(self.folder / "platform.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout as err:
                raise UsageError(
                    "another `mlp up` or `mlp down` of this project is at work. Wait for it; `mlp status` shows how far it is."
                ) from err
        try:
            yield
        finally:
            lock.release()
