"""Identify callers of the shared MLflow and decide which routes they may use, from values alone.

Runs inside MLflow's official image, where `mlflow_access` applies the decisions. Does not import `platform_lib`.
"""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

_METRICS_USER, _METRICS_RULE = "metrics", "/metrics"
CI, MACHINES, MEMBERS = "ci", "machines", "members"
ROLES = frozenset({CI, MACHINES, MEMBERS})
"""How a caller of a team is identified: its CI's password, its password, or the login."""
_log = logging.getLogger("mlp.access")


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Content of the access file. Hashes are SHA-256 in hex; a name has several while its password is rotated."""

    edge: tuple[str, ...]
    metrics: tuple[str, ...]
    teams: Mapping[str, tuple[str, ...]]
    group_teams: Mapping[str, str]
    """Group of the login provider → team."""
    admin_groups: frozenset[str]
    ci: Mapping[str, tuple[str, ...]]
    """Team → hashes of the password for its CI, whose user name is the team's as well."""
    champion_roles: frozenset[str]
    """Roles and groups that may move the aliases `champion`, `previous` and `canary`."""
    name_patterns: Mapping[str, tuple[str, ...]] | None
    """Team → `NAME` or `PREFIX*` of what it may create; None if a name belongs to the first team that takes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The caller of a request."""

    name: str
    """Name in the log: a person, `machine of <team>` or `CI of <team>`."""
    teams: tuple[str, ...] = ()
    is_admin: bool = False
    is_metrics: bool = False
    roles: frozenset[str] = frozenset()
    """`ci`, `machines` or `members`, and a person's groups."""


def parse_access(text: str) -> Access:
    """Parse the JSON of the access file; raises if it does not have the expected form."""
    data = json.loads(text)
    return Access(
        edge=tuple(data["edge"]),
        metrics=tuple(data["metrics"]),
        teams=_texts(data["teams"]),
        group_teams={str(group): str(team) for group, team in data["group_teams"].items()},
        admin_groups=frozenset(data["admin_groups"]),
        ci=_texts(data["ci"]),
        champion_roles=frozenset(data["champion_roles"]),
        name_patterns=None if data["name_patterns"] is None else _texts(data["name_patterns"]),
    )


def _texts(data: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {str(name): tuple(values) for name, values in data.items()}


class AccessFile:
    """The mounted access file, read again when the kubelet replaces it."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._access: Access | None = None

    def read(self) -> Access:
        """Return the current content. An invalid file is logged, and the last valid content stays in effect."""
        with self._lock:
            try:
                status = self._path.stat()
                seen = (status.st_mtime_ns, status.st_ino)
                if seen != self._seen:
                    self._access, self._seen = parse_access(self._path.read_text(encoding="utf-8")), seen
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                if self._access is None:
                    raise
                _log.exception("the access file %s cannot be read; its previous content stays in effect", self._path)
            assert self._access is not None
            return self._access


def identify(
    access: Access, user: str | None, password: str | None, groups: str, person: str | None = None
) -> Caller | None:
    """Return the caller from HTTP Basic credentials and the groups header; None for unknown credentials."""
    if not user or not password:
        return None
    digest = hashlib.sha256(password.encode()).hexdigest()

    def known(hashes: tuple[str, ...]) -> bool:
        return any(hmac.compare_digest(digest, one) for one in hashes)

    if known(access.edge):
        named = {group.strip() for group in groups.split(",")} - {""}
        teams = tuple(sorted({access.group_teams[group] for group in named if group in access.group_teams}))
        is_admin = bool(named & access.admin_groups)
        return Caller(name=person or user, teams=teams, is_admin=is_admin, roles=frozenset({MEMBERS, *named - ROLES}))
    if user == _METRICS_USER:
        return Caller(name=user, is_metrics=True) if known(access.metrics) else None
    for role, name, hashes in ((CI, "CI", access.ci), (MACHINES, "machine", access.teams)):
        if known(hashes.get(user, ())):
            return Caller(name=f"{name} of {user}", teams=(user,), roles=frozenset({role}))
    return None


def may_use_route(caller: Caller, method: str, rule: str | None, listed: Container[tuple[str, str]]) -> bool:
    """Whether the caller may use a route.

    Args:
        caller: Who asks.
        method: The request's method.
        rule: Of MLflow's route table; None if it has no match.
        listed: (method, rule) of the routes that teams may use.
    """
    if caller.is_metrics:
        return (method, rule) == ("GET", _METRICS_RULE)
    if caller.is_admin:
        return True
    return bool(caller.teams) and (method, (rule or "").replace("/ajax-api/", "/api/", 1)) in listed


def may_move_champion(caller: Caller, access: Access) -> bool:
    """Whether the caller may decide which version is served."""
    return caller.is_admin or bool(caller.roles & access.champion_roles)
