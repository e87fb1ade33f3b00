"""API keys: generate them, store their hashes in a file that may be in git, and reload the file when it changes."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec
import yaml

from platform_lib.errors import NotFound, UsageError
from platform_lib.files import write_atomically

Scope = Literal["predict", "labels", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_HEADER = (
    "# API keys of the model server: names, scopes and SHA-256 hashes, from which no key can be recovered. "
    "Written by `mlp keys`.\n"
)
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
    keys: list[KeyEntry] = []


def new_key(path: Path, name: str, scopes: list[Scope]) -> str:
    """Generate a key, store its hash in the file, and return the key. It cannot be shown again.

    Raises:
        UsageError: The name is malformed or taken, or the file is broken.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the key's name is {name!r}: use 1-63 lowercase letters, digits, dots, dashes and underscores, "
            "such as checkout-service."
        )
    if not scopes:
        raise UsageError(f"a key needs at least one scope of {', '.join(SCOPES)}.")
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
    _write(path, [*entries, entry])
    return key


def revoke_key(path: Path, name: str) -> None:
    """Remove a key's hash from the file. Servers that read the file refuse the key from then on.

    Raises:
        NotFound: The file has no key with this name.
    """
    entries = read_keys(path)
    left = [entry for entry in entries if entry.name != name]
    if len(left) == len(entries):
        raise NotFound(
            f"{path} has no key named {name!r}; its keys are: {', '.join(entry.name for entry in entries) or 'none'}."
        )
    _write(path, left)


def read_keys(path: Path) -> list[KeyEntry]:
    """Return the file's entries; none if there is no file.

    Raises:
        UsageError: The file is not a list of keys; says where.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"cannot read the key file {path}: {err}") from err
    try:
        entries = msgspec.convert(yaml.safe_load(text) or {}, _KeyList).keys
    except (yaml.YAMLError, msgspec.ValidationError) as err:
        raise UsageError(
            f"{path} is not a key file: {' '.join(str(err).split())}. "
            f"Restore it with `git checkout -- {path.name}`, or create keys with `mlp keys new`."
        ) from err
    for entry in entries:
        if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
            raise UsageError(
                f"{path}: sha256 of the key {entry.name!r} is not 64 hexadecimal digits. "
                "Create the key again with `mlp keys new`."
            )
    return entries


def key_hash(key: str) -> str:
    """Return the hash to store. Plain SHA-256 is enough, because 256 random bits cannot be guessed."""
    return hashlib.sha256(key.encode()).hexdigest()


def _write(path: Path, entries: list[KeyEntry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _HEADER + yaml.safe_dump({"keys": [msgspec.to_builtins(entry) for entry in entries]}, sort_keys=False)
    write_atomically(path, text, mode=0o644)


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
        if stamp == self._seen:
            return
        self._seen = stamp
        if stamp is None:
            # A file that vanishes is usually being replaced. An empty list is the way to revoke every key.
            self.problem = (
                f"{self._path} is missing; the keys read before stay valid. "
                "To revoke them all, write an empty list, `keys: []`."
            )
            return
        try:
            self._entries = read_keys(self._path)
            self.problem = None
        except UsageError as err:
            self.problem = f"{err} The keys read before stay valid."

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
