"""The file `.mlp/platform.json`, which records the processes of the local platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from platform_lib.errors import ServiceError, UsageError
from platform_lib.files import write_atomically


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A started service."""

    pid: int
    create_time: float
    """Start time of the process in seconds since the epoch; identifies it, since ids are reused."""
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
    """The service records of one project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".mlp"
        self.file = self.folder / "platform.json"
        self.logs = self.folder / "logs"

    def load(self) -> dict[str, Record]:
        """Return service name → record; empty if the file is missing, unreadable or copied from another project."""
        try:
            read = msgspec.json.decode(self.file.read_bytes(), type=_File)
        except (OSError, msgspec.MsgspecError):
            return {}
        return {} if self._is_copy_of(read.root) else read.services

    def _is_copy_of(self, other: str) -> bool:
        # A moved folder keeps its services. Those of a copy belong to the original, which still exists.
        return bool(other) and Path(other) != self.root and (Path(other) / ".mlp" / "platform.json").is_file()

    def save(self, services: dict[str, Record]) -> None:
        """Replace the file atomically, or remove it if there are no services.

        Raises:
            ServiceError: The folder is not writable.
        """
        with self.writable():
            if not services:
                self.file.unlink(missing_ok=True)
                return
            encoded = msgspec.json.encode(_File(root=str(self.root), services=services))
            write_atomically(self.file, msgspec.json.format(encoded, indent=2))

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Turn an OSError of the block into a ServiceError with a remedy."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as err:
            raise ServiceError(
                f"cannot write to {self.folder}: {err.strerror or err}. "
                "Free some space, or make the folder writable; then run `mlp up` again."
            ) from err

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude every other `mlp up` and `mlp down` of this project.

        Raises:
            UsageError: One of them is running.
        """
        from filelock import FileLock, Timeout

        with self.writable():
            lock = FileLock(self.folder / "platform.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout as err:
                raise UsageError(
                    "another `mlp up` or `mlp down` of this project is running. Wait until it ends; `mlp status` shows "
                    "its progress."
                ) from err
        try:
            yield
        finally:
            lock.release()
