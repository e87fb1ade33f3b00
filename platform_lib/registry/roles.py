"""Roles of a version next to the champion: canary, with a share of the requests, and shadow."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from platform_lib.errors import CheckFailed, NotFound, UsageError
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.approval import refusal
from platform_lib.registry.client import mlflow_errors
from platform_lib.registry.override import record_override
from platform_lib.registry.reference import Reference, VersionRecord
from platform_lib.registry.versions import Moved, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryRecord:
    """The canary that the registry names."""

    record: VersionRecord
    percent: float | None
    """Share of the requests, above 0 and at most 100; None if the tag is invalid."""
    since: datetime | None
    """When it became the canary, UTC; None if the tag is invalid."""


def find_role(registry: Registry, name: str, alias: str) -> VersionRecord | None:
    """The version that has an alias, or None."""
    try:
        return registry.resolve(Reference(name, alias=alias))
    except NotFound:
        return None


def find_canary(registry: Registry, name: str) -> CanaryRecord | None:
    """The canary, or None."""
    record = find_role(registry, name, Alias.CANARY)
    if record is None:
        return None
    try:
        percent = float(record.tags.get(VersionTag.PERCENT, ""))
    except ValueError:
        percent = None
    try:
        since = datetime.fromisoformat(record.tags.get(VersionTag.CANARY_SINCE, "")).astimezone(UTC)
    except ValueError:
        since = None
    return CanaryRecord(record=record, percent=percent, since=since)


def start_canary(
    registry: Registry, record: VersionRecord, percent: float, *, override: str | None = None
) -> CanaryRecord | None:
    """Send a share of the requests to a version, or change its share.

    Args:
        registry: Of the model.
        record: The version.
        percent: Of the requests, above 0 and at most 100.
        override: Why it may serve although it did not pass the gate; recorded on the version with who and when.
    Returns:
        The previous canary, or None.
    Raises:
        UsageError: `percent` is out of range.
        CheckFailed: The version is the champion, there is no champion, or it did not pass the gate and there is no
            override.
    """
    if not 0 < percent <= 100:
        raise UsageError(
            f"the share is {percent:g} percent, expected more than 0 and at most 100; `mlp canary abort` ends a canary."
        )
    _check_beside_champion(registry, record, "canary")
    _allow(registry, record, Alias.CANARY, override)
    before = find_canary(registry, record.name)
    goes_on = before is not None and before.record.version == record.version
    tags = {VersionTag.PERCENT: f"{percent:g}"}
    if not goes_on:
        tags[VersionTag.CANARY_SINCE] = datetime.now(UTC).isoformat(timespec="seconds")
    with mlflow_errors(registry.uri):
        try:
            # The share first: no server may see the alias with an older share.
            for tag, value in tags.items():
                registry.backend.set_model_version_tag(record.name, record.version, tag, value)
            registry.backend.set_registered_model_alias(record.name, Alias.CANARY, record.version)
        except Exception:
            if not goes_on:
                with suppress(Exception):  # report the first failure
                    _drop_tags(registry, registry.resolve(Reference(record.name, version=record.version)))
            raise
    if before is not None and not goes_on:
        _drop_tags(registry, before.record)
    return before


def end_canary(registry: Registry, name: str) -> VersionRecord:
    """Remove the alias and the share: the champion answers all requests.

    Raises:
        NotFound: There is no canary.
    """
    record = end_role(registry, name, Alias.CANARY)
    _drop_tags(registry, record)
    return record


def end_of_champion(registry: Registry, champion: VersionRecord) -> CanaryRecord | None:
    """Remove the other roles of a version that has become the champion.

    Returns:
        The canary, if it is another version.
    """
    if (shadow := find_role(registry, champion.name, Alias.SHADOW)) is not None and shadow.version == champion.version:
        end_role(registry, champion.name, Alias.SHADOW)
    canary = find_canary(registry, champion.name)
    if canary is not None and canary.record.version == champion.version:
        end_canary(registry, champion.name)
        return None
    return canary


def finish_canary(registry: Registry, name: str, *, override: str | None = None) -> Moved:
    """Make the canary the champion.

    Raises:
        NotFound: There is no canary.
        CheckFailed: It did not pass the gate and there is no `override`, as in `Registry.promote`.
    """
    canary = find_canary(registry, name)
    if canary is None:
        raise NotFound(_no_role(name, Alias.CANARY))
    moved = registry.promote(canary.record, override=override)
    end_of_champion(registry, moved.champion)  # after the promotion: until servers see it, the canary keeps its share
    return moved


def start_shadow(registry: Registry, record: VersionRecord, *, override: str | None = None) -> None:
    """Run a version on live traffic without returning its predictions.

    Args:
        registry: Of the model.
        record: The version.
        override: Why it may run although it did not pass the gate. The record allows it to be the shadow only.
    Raises:
        CheckFailed: The version is the champion, there is no champion, or it did not pass the gate and there is no
            override.
    """
    _check_beside_champion(registry, record, "shadow")
    _allow(registry, record, Alias.SHADOW, override)
    with mlflow_errors(registry.uri):
        registry.backend.set_registered_model_alias(record.name, Alias.SHADOW, record.version)


def end_role(registry: Registry, name: str, alias: str) -> VersionRecord:
    """Remove an alias; returns the version that had it.

    Raises:
        NotFound: No version has the alias.
    """
    record = find_role(registry, name, alias)
    if record is None:
        raise NotFound(_no_role(name, alias))
    with mlflow_errors(registry.uri):
        registry.backend.delete_registered_model_alias(name, alias)
    return record


def _check_beside_champion(registry: Registry, record: VersionRecord, role: str) -> None:
    champion = registry.champion(record.name)
    if champion is None:
        raise CheckFailed(
            f"{record.name} has no champion to compare a {role} with: promote a version first with `mlp promote`."
        )
    if champion.version == record.version:
        raise CheckFailed(
            f"{record.name} version {record.version} is the champion: a {role} has to be another version."
        )


def _allow(registry: Registry, record: VersionRecord, role: str, override: str | None) -> None:
    """Check that a version may have a role, or record why it may although it did not pass the gate."""
    if not record.passed_gate and override is not None:
        with mlflow_errors(registry.uri):
            record_override(registry.backend, record, role=role, reason=override)
    elif reason := refusal(record.name, record.version, record.tags, role):
        raise CheckFailed(reason)


def _drop_tags(registry: Registry, record: VersionRecord) -> None:
    with mlflow_errors(registry.uri):
        for tag in (VersionTag.PERCENT, VersionTag.CANARY_SINCE):
            if tag in record.tags:
                registry.backend.delete_model_version_tag(record.name, record.version, tag)


def _no_role(name: str, alias: str) -> str:
    return (
        f"{name} has no {alias}: `mlp {alias} --version V{' --percent P' if alias == Alias.CANARY else ''}` makes one."
    )
