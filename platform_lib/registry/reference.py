"""References to registered models, and the record of one version. `versions` looks them up."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from platform_lib.errors import UsageError
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.approval import Override, has_passed, override_of, verdict_of
from platform_lib.registry.backends.base import StoredVersion

_FORMS = "NAME, NAME@alias, NAME/7, models:/NAME@alias or models:/NAME/7"


@dataclass(frozen=True, slots=True)
class Reference:
    """A model and one of its aliases or versions; exactly one of the two is set."""

    name: str
    alias: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}" if self.alias else f"{self.name}/{self.version}"


def parse_reference(
    text: str | None, default_name: str | None = None, default_alias: str = Alias.CHAMPION
) -> Reference:
    """Parse a reference as people and MLflow write it.

    Args:
        text: `NAME` (with `default_alias`), `NAME@alias` or `NAME/7`, optionally after `models:/`; with a default name
            also `@alias`, `7` or None.
        default_name: The project's model, in a project.
        default_alias: The alias of a reference without alias and version.
    Raises:
        UsageError: The text has none of these forms.
    """
    given = (text or "").strip().removeprefix("models:").lstrip("/")
    if default_name is not None:
        if not given:
            return Reference(default_name, alias=default_alias)
        if given.startswith("@"):
            given = default_name + given
        elif re.fullmatch(r"v?\d+", given):
            given = f"{default_name}/{given.removeprefix('v')}"
    match = re.fullmatch(r"(?P<name>[^@/:\s]+)(?:@(?P<alias>[A-Za-z][\w-]*)|/(?P<version>\d+))?", given)
    if match is None:
        raise UsageError(f"{text!r} is not a model reference: expected {_FORMS}.")
    if match["version"]:
        return Reference(match["name"], version=match["version"])
    return Reference(match["name"], alias=match["alias"] or default_alias)


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRecord:
    """One version in the registry."""

    name: str
    version: str
    run_id: str
    source: str
    """MLflow's URI of the files: `models:/m-…`."""
    tags: dict[str, str]
    aliases: tuple[str, ...]
    metrics: dict[str, float]
    """The run's metrics."""
    created_at: datetime
    """UTC."""

    @property
    def sha256(self) -> str:
        """Registered SHA-256 of the model file; empty for a version that this library did not register."""
        return self.tags.get(VersionTag.MODEL_SHA256, "")

    @property
    def files_sha256(self) -> str:
        """Registered SHA-256 of this library's other files; empty if it was not recorded."""
        return self.tags.get(VersionTag.FILES_SHA256, "")

    @property
    def verdict(self) -> dict[str, Any] | None:
        """The stored `training.gates.Verdict`; None if the gate has not judged the version."""
        return verdict_of(self.tags)

    @property
    def passed_gate(self) -> bool:
        """Whether the version passed the gate."""
        return has_passed(self.tags)

    @property
    def override(self) -> Override | None:
        """Who let the version serve although it did not pass the gate; None if nobody did."""
        return override_of(self.tags)


def to_record(version: StoredVersion, aliases: dict[str, str], metrics: dict[str, float]) -> VersionRecord:
    """Complete a stored version.

    Args:
        version: Of the store.
        aliases: Version numbers by alias, of the whole model.
        metrics: Of the version's run.
    """
    return VersionRecord(
        name=version.name,
        version=version.version,
        run_id=version.run_id,
        source=version.source,
        tags=version.tags,
        aliases=tuple(sorted(alias for alias, of in aliases.items() if of == version.version)),
        metrics=metrics,
        created_at=datetime.fromtimestamp(version.created_ms / 1000, UTC),
    )
