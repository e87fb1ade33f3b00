"""Interface of the model registry for serving, which runs without MLflow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from platform_lib.names import VersionTag
from platform_lib.registry.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedVersion:
    """The version that a reference names now."""

    name: str
    version: str
    tags: dict[str, str]
    """Its current tags, not those of an earlier look-up: a gate's verdict may have been overridden since."""
    fetch: Callable[[Path], Path]
    """Download its files into an empty folder, or find them in place; returns the folder. Raises ServiceError."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file, from the version's tag; empty if it has none."""
        return self.tags.get(VersionTag.MODEL_SHA256, "")


class RegistryClient(Protocol):
    """A model registry. `rest_registry` and `local_registry` implement it."""

    def prepare(self, reference: Reference) -> None:
        """Start slow work for the first `find` in the background, and return immediately."""

    def find(self, reference: Reference, *, known_version: str | None) -> ResolvedVersion | None:
        """Return the version that a reference names, or None if it is certainly still `known_version`.

        Raises:
            NotFound: There is no such model, version or alias yet.
            ServiceError: The registry does not respond.
        """

    def version_of(self, reference: Reference) -> str:
        """Return only the number of the version that an alias names; cheap enough to poll.

        Raises:
            NotFound: There is no such model or alias yet.
            ServiceError: The registry does not respond.
        """

    def tag_of(self, reference: Reference, tag: str) -> str | None:
        """Return the current value of a version's tag, or None if it has none; cheap enough to poll.

        Raises:
            NotFound: There is no such version.
            ServiceError: The registry does not respond.
        """

    def close(self) -> None:
        """Cancel work in progress and close connections."""
