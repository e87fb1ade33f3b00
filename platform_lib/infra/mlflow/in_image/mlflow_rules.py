"""Who asks the shared MLflow, and which routes are open to whom: decided from values alone, without MLflow. `mlflow_access` asks and applies.

Run inside MLflow's official image from a mounted folder. Imports nothing of ours.
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
    """The access file: hashes are SHA-256 in hex; more than one for a name while a password is being changed."""

    edge: tuple[str, ...]
    metrics: tuple[str, ...]
    teams: Mapping[str, tuple[str, ...]]
    group_teams: Mapping[str, str]
    """Group of the login provider → team."""
    admin_groups: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    """For the log: a person, or `machine of <team>`."""
    teams: tuple[str, ...] = ()
    is_admin: bool = False
    is_metrics: bool = False


def parse_access(text: str) -> Access:
    """Read the access file's JSON; whatever is not of the expected form raises."""
    data = json.loads(text)
    return Access(
        edge=tuple(data["edge"]),
        metrics=tuple(data["metrics"]),
        teams={str(team): tuple(hashes) for team, hashes in data["teams"].items()},
        group_teams={str(group): str(team) for group, team in data["group_teams"].items()},
        admin_groups=frozenset(data["admin_groups"]),
    )


class AccessFile:
    """The mounted file, read again when the kubelet has put another one in its place."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._access: Access | None = None

    def read(self) -> Access:
        """What the file says now; a broken one is reported and the last good one stays."""
        with self._lock:
            try:
                status = self._path.stat()
                seen = (status.st_mtime_ns, status.st_ino)
                if seen != self._seen:
                    self._access, self._seen = parse_access(self._path.read_text(encoding="utf-8")), seen
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                if self._access is None:
                    raise
                _log.exception("the access file %s cannot be read; what it said before holds", self._path)
            assert self._access is not None
            return self._access


def identify(
    access: Access, user: str | None, password: str | None, groups: str, person: str | None = None
) -> Caller | None:
    """Who asks, from HTTP Basic credentials and the login proxy's groups header; None where the credentials are nobody's."""
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
    """(method, rule) pairs that teams may use."""
    lines = ROUTES_FILE.read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    return frozenset((method, rule) for method, rule in pairs)


def may_use_route(caller: Caller, method: str, rule: str | None) -> bool:
    """Whether this caller may use this route at all; `rule` is None where MLflow's route table has none."""
    if caller.is_metrics:
        return (method, rule) == ("GET", _METRICS_RULE)
    if caller.is_admin:
        return True
    return bool(caller.teams) and (method, (rule or "").replace("/ajax-api/", "/api/", 1)) in allowed_routes()
