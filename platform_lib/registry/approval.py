"""Decide from a version's tags whether it may serve: it passed the gate, or the gate was overridden on the record."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platform_lib.names import Alias, VersionTag

_ANY_ROLE = "true"


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """The record that somebody let a version serve although it did not pass the gate."""

    role: str | None
    """The only role that it allows, `canary` or `shadow`; None allows every role."""
    by: str
    """Who, as `mlp` recorded it; empty for versions that were forced before this was recorded."""
    at: str
    """When, ISO 8601 in UTC; may be empty."""
    reason: str
    """Why; may be empty."""


def verdict_of(tags: Mapping[str, str]) -> dict[str, Any] | None:
    """The stored `training.gates.Verdict`; None if the gate has not judged the version."""
    try:
        value = json.loads(tags[VersionTag.GATE])
    except (KeyError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def has_passed(tags: Mapping[str, str]) -> bool:
    """Whether the version passed the gate."""
    return (verdict_of(tags) or {}).get("passed") is True


def override_of(tags: Mapping[str, str]) -> Override | None:
    """The recorded override of the gate, or None."""
    forced = tags.get(VersionTag.FORCED, "")
    if forced not in (_ANY_ROLE, Alias.CANARY, Alias.SHADOW):
        return None
    return Override(
        role=None if forced == _ANY_ROLE else forced,
        by=tags.get(VersionTag.FORCED_BY, ""),
        at=tags.get(VersionTag.FORCED_AT, ""),
        reason=tags.get(VersionTag.FORCED_REASON, ""),
    )


def override_tags(before: Mapping[str, str], *, role: str, by: str, at: str, reason: str) -> dict[str, str]:
    """The tags that record an override, in the order in which to write them.

    Args:
        before: The version's tags. An override for every role is not reduced to one role.
        role: `champion`, `canary` or `shadow`. Only a champion's override allows every role.
        by: Who decided.
        at: ISO 8601 in UTC.
        reason: In the words of whoever decided.
    """
    known = override_of(before)
    everywhere = role == Alias.CHAMPION or (known is not None and known.role is None)
    return {
        VersionTag.FORCED_BY: by,
        VersionTag.FORCED_AT: at,
        VersionTag.FORCED_REASON: reason,
        VersionTag.FORCED: _ANY_ROLE if everywhere else role,  # last: it is the one that lets the version serve
    }


def why_not(tags: Mapping[str, str]) -> str | None:
    """Why a version did not pass the gate, as a clause; None if it passed."""
    if has_passed(tags):
        return None
    verdict = verdict_of(tags)
    if verdict is None:
        return "the gate has not judged it"
    reasons = verdict.get("reasons")
    said = "; ".join(map(str, reasons)) if isinstance(reasons, list) else ""
    return f"the gate refused it ({said})" if said else "the gate refused it"


def refusal(name: str, version: str, tags: Mapping[str, str], role: str | None) -> str | None:
    """Why a version must not serve or predict, with what to do, as one sentence; None if it may.

    Args:
        name: Of the model.
        version: Of the model.
        tags: Of the version, current ones.
        role: The alias under which it would serve; None for a version that is named by its number.
    """
    why = why_not(tags)
    override = override_of(tags)
    if why is None or (override is not None and override.role in (None, role)):
        return None
    command = {
        Alias.CANARY: f"mlp canary {name} --version {version} --percent P",
        Alias.SHADOW: f"mlp shadow {name} --version {version}",
    }.get(role or "", f"mlp promote {name}/{version}")
    return (
        f"{name} version {version} is not used: {why}. Use a version that passed, or override the gate on the record "
        f'with `{command} --force --reason "…"`.'
    )


def promoted_score(tags: Mapping[str, str]) -> str | None:
    """The score that later versions are compared with, as the tag of a promotion; None if the gate has no score."""
    verdict = verdict_of(tags) or {}
    if not isinstance(verdict.get("score"), int | float):
        return None
    return json.dumps({name: verdict.get(name) for name in ("metric", "score", "data", "target")})
