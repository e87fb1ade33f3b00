"""What the monitoring report of one version holds, as plain values."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from platform_lib.data.contract import DataContract
from platform_lib.model.profile import Profile
from platform_lib.monitoring.drift import ColumnDrift
from platform_lib.monitoring.held_out.joint import JointDrift
from platform_lib.monitoring.held_out.reference import Reference
from platform_lib.monitoring.live_score import LiveScore

PREDICTION = "prediction"
"""Name of the prediction among the columns; as the server's counters call it."""
FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitored:
    """The version that is reported on."""

    model: str
    version: str
    profile: Profile
    contract: DataContract
    metric: str
    """Metric of the live score."""
    held_out: tuple[float, float] | None
    """Its score on the held-out rows at training, and the standard error; None if unknown."""
    reference: Reference | None = None
    """Held-out rows; None if the training stored none."""


class VersionTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """What one version answered in the period."""

    version: str
    requests: int
    rows: int
    p50_ms: float
    p99_ms: float


class MonitorReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a version's period. JSON-able by msgspec."""

    format: int = FORMAT
    model: str
    version: str
    since: datetime
    until: datetime
    windows: list[datetime]
    """Start of each window, UTC, oldest first."""
    rows: list[int]
    """Logged rows of the version per window."""
    traffic: list[VersionTraffic]
    columns: list[ColumnDrift]
    """The prediction first, then the features, the largest index first."""
    joint: JointDrift | None
    """Of all features together, in the latest windows; None without held-out rows or with too few."""
    score: LiveScore
    problems: list[str]
    """What crossed a limit, one sentence each; empty if nothing did."""
    notes: list[str]
    """What the report cannot say, and why."""
