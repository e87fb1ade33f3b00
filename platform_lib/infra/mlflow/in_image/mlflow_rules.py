"""Identify callers of the shared MLflow and decide which routes they may use, from values alone.

Runs inside MLflow's official image, where `mlflow_access` applies the decisions. Does not import `platform_lib`.
"""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROUTES_FILE = Path(__file__).with_name("mlflow_routes.txt")
_METRICS_USER, _METRICS_RULE = "metrics", "/metrics"
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The caller of a request."""

    name: str
    """Name in the log: a person, or `machine of <team>`."""
    teams: tuple[str, ...] = ()
    is_admin: bool = False
    is_metrics: bool = False


def parse_access(text: str) -> Access:
    """Parse the JSON of the access file; raises if it does not have the expected form."""
    data = json.loads(text)
    return Access(
        edge=tuple(data["edge"]),
        metrics=tuple(data["metrics"]),
        teams={str(team): tuple(hashes) for team, hashes in data["teams"].items()},
        group_teams={str(group): str(team) for group, team in data["group_teams"].items()},
        admin_groups=frozenset(data["admin_groups"]),
    )


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
        return Caller(name=person or user, teams=teams, is_admin=bool(named & access.admin_groups))
    if user == _METRICS_USER:
        return Caller(name=user, is_metrics=True) if known(access.metrics) else None
    return Caller(name=f"machine of {user}", teams=(user,)) if known(access.teams.get(user, ())) else None


@lru_cache(maxsize=1)
def allowed_routes() -> frozenset[tuple[str, str]]:
    """Return the (method, rule) pairs that teams may use."""
    lines = ROUTES_FILE.read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    return frozenset((method, rule) for method, rule in pairs)


def may_use_route(caller: Caller, method: str, rule: str | None) -> bool:
    """Whether the caller may use a route; `rule` is None if MLflow's route table has no match."""
    if caller.is_metrics:
        return (method, rule) == ("GET", _METRICS_RULE)
    if caller.is_admin:
        return True
    return bool(caller.teams) and (method, (rule or "").replace("/ajax-api/", "/api/", 1)) in allowed_routes()
