"""API keys: generate them, store their hashes in a file that may be in git, and reload the file when it changes."""

import base64
import errno
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec
import yaml

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.files import write_atomically
from platform_lib.names import KEY_FILE_END, KEY_FILE_MARK

log = logging.getLogger("platform_lib.serving")

Scope = Literal["predict", "labels", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_HEADER = (
    "# API keys of the model server: names, scopes and SHA-256 hashes, from which no key can be recovered. "
    f"Written by `mlp keys`.\n{KEY_FILE_MARK}\n"
)
_MAX_BYTES = 2**18
"""A thousand keys. The server parses the file between two requests."""
_LOCK_TIMEOUT_S = 60.0
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key, without the key."""

    name: str
    sha256: str
    """Of the key's text, hexadecimal."""
    scopes: list[Scope]
    created: str
    """Day, ISO 8601."""


class _KeyList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[KeyEntry]


def new_key(path: Path, name: str, scopes: list[Scope]) -> str:
    """Generate a key, store its hash in the file, and return the key. It cannot be shown again.

    Concurrent calls wait for each other. A symbolic link stays one: the file that it points to is replaced.

    Raises:
        UsageError: The name is malformed or taken, or the file is broken.
        ServiceError: Another process keeps the file locked.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the key's name is {name!r}: use 1-63 lowercase letters, digits, dots, dashes and underscores, "
            "such as checkout-service."
        )
    if not scopes:
        raise UsageError(f"a key needs at least one scope of {', '.join(SCOPES)}.")
    with _locked(path) as file:
        entries = read_keys(path)
        if any(entry.name == name for entry in entries):
            raise UsageError(
                f"{path} already has a key named {name!r}: "
                f"choose another name, move the callers to that key, then run `mlp keys revoke {name}`."
            )
        key = "mlp_" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        entry = KeyEntry(
            name=name,
            sha256=key_hash(key),
            scopes=sorted(set(scopes), key=SCOPES.index),
            created=datetime.now(UTC).date().isoformat(),
        )
        _write(file, [*entries, entry])
    return key


def revoke_key(path: Path, name: str) -> None:
    """Remove a key's hash from the file. Servers that read the file refuse the key from then on.

    Raises:
        NotFound: The file has no key with this name.
        UsageError: The file is broken.
        ServiceError: Another process keeps the file locked.
    """
    if not path.exists():
        raise NotFound(f"{path} does not exist, so it has no key named {name!r}.")
    with _locked(path) as file:
        entries = read_keys(path)
        left = [entry for entry in entries if entry.name != name]
        if len(left) == len(entries):
            names = ", ".join(entry.name for entry in entries) or "none"
            raise NotFound(f"{path} has no key named {name!r}; its keys are: {names}.")
        _write(file, left)


def read_keys(path: Path) -> list[KeyEntry]:
    """Return the file's entries; none if there is no file.

    Raises:
        UsageError: The file is not a complete list of keys, or cannot be read; says where and why.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        return []
    except OSError as err:
        raise UsageError(f"cannot read the key file {path}: {err.strerror or err}.") from err


def _read(path: Path) -> list[KeyEntry]:
    """Return the file's entries.

    Raises:
        OSError: The file cannot be read; FileNotFoundError if there is none.
        UsageError: It is not a complete list of keys.
    """
    if not path.is_file() and path.exists():  # opening a pipe would wait for a writer
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise _broken(path, f"it is larger than {_MAX_BYTES // 2**10} KiB")
    try:
        text = content.decode("utf-8")
        if KEY_FILE_MARK in text and text.rstrip().rpartition("\n")[2] != KEY_FILE_END:
            raise _broken(path, f"it is incomplete, its last line is not {KEY_FILE_END!r}")
        value = yaml.safe_load(text)
        if value is None:
            raise _broken(path, "it is empty; a file without keys holds `keys: []`")
        entries = msgspec.convert(value, _KeyList).keys
    except UsageError:
        raise
    except RecursionError as err:
        raise _broken(path, "its values are nested too deeply") from err
    except Exception as err:  # YAML's constructors raise whatever Python's do: ValueError, IndexError, …
        raise _broken(path, " ".join(str(err).split())[:300]) from err
    for entry in entries:
        if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
            raise UsageError(
                f"{path}: sha256 of the key {entry.name!r} is not 64 hexadecimal digits. "
                "Create the key again with `mlp keys new`."
            )
    return entries


def _broken(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"{path} is not a key file: {reason}. Restore it with `git checkout -- {path.name}`; "
        "if it never held a key, delete it and run `mlp keys new`."
    )


def key_hash(key: str) -> str:
    """Return the hash to store. Plain SHA-256 is enough, because 256 random bits cannot be guessed."""
    return hashlib.sha256(key.encode()).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """Yield the file that `path` or its symbolic link names, which no other `mlp keys` changes until the block ends."""
    from filelock import FileLock, Timeout

    file = Path(os.path.realpath(path))
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_name(f".{file.name}.lock"), timeout=_LOCK_TIMEOUT_S)
    try:
        with lock:
            yield file
    except Timeout as err:
        raise ServiceError(
            f"{path} is locked by another `mlp keys` for over {_LOCK_TIMEOUT_S:.0f} s; nothing was changed. "
            "Wait until it ends, then run the command again."
        ) from err
    except OSError as err:
        if err.filename == lock.lock_file:  # nobody knows that file
            err.filename = str(path)
        raise


def _write(file: Path, entries: list[KeyEntry]) -> None:
    listed = yaml.safe_dump({"keys": [msgspec.to_builtins(entry) for entry in entries]}, sort_keys=False)
    # Hashes are no secret, and the server often runs as another user.
    write_atomically(file, f"{_HEADER}{listed}{KEY_FILE_END}\n", mode=None if file.exists() else 0o644)


class KeyRing:
    """The keys that a server accepts. Reloads a changed file; a broken file is reported and ignored."""

    def __init__(self, path: Path, recheck_s: float = 0.0) -> None:
        """Read the file.

        Args:
            path: The key file; it need not exist.
            recheck_s: Minimum time between two checks for a change. A check costs more than finding a key.
        """
        self._path, self._recheck_s = path, recheck_s
        self._checked_s = time.monotonic()
        self._seen: tuple[int, int, int] | None = None
        self._entries: list[KeyEntry] = []
        self.problem: str | None = None
        """Why the current content of the file is not in effect; None if it is."""
        self._seen = self._stamp()  # before reading, so that a change in between is noticed
        self._entries = read_keys(path)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str) -> KeyEntry | None:
        """Return the entry of a key, None if it is unknown. Compares with every entry, each in constant time."""
        self._refresh()
        given, found = key_hash(key), None
        for entry in self._entries:
            if hmac.compare_digest(entry.sha256, given):
                found = entry
        return found

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._checked_s < self._recheck_s:
            return
        self._checked_s = now
        stamp = self._stamp()
        if stamp is not None and stamp == self._seen:
            return
        # Not remembered until it was read: a file that could not be opened is tried again at the next check.
        self._seen = None
        try:
            self._entries = _read(self._path)
        except FileNotFoundError:
            # A file that vanishes is usually being replaced. An empty list is the way to revoke every key.
            self._report(f"{self._path} is missing.", "To revoke them all, write an empty list, `keys: []`.")
        except OSError as err:
            self._report(f"cannot read the key file {self._path}: {err.strerror or err}.")
        except UsageError as err:
            self._seen = stamp
            self._report(str(err))
        else:
            self._seen = stamp
            if self.problem is not None:
                log.warning("The key file %s is read again.", self._path)
            self.problem = None

    def _report(self, reason: str, more: str = "") -> None:
        problem = " ".join(filter(None, (reason, "The keys read before stay valid.", more)))
        if problem != self.problem:
            log.warning("%s", problem)
        self.problem = problem

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
