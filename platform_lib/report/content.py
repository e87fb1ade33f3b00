"""What a report shows, as plain values: one version, and what it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from platform_lib.data.contract import DataContract
from platform_lib.lineage import Lineage
from platform_lib.model.card import ModelCard
from platform_lib.model.profile import Profile
from platform_lib.training.diagnostics.tables import Diagnostics

Differences = Mapping[str, Mapping[str, tuple[Any, Any]]]
"""Title → name → values of the compared version and of the report's version; None for no value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """The version that a report compares with."""

    label: str
    """Such as `version 3, the champion`."""
    estimator: str
    evaluation: Mapping[str, Any]
    """As `training.evaluation.Evaluation`, or only `metrics`."""
    same_table: bool
    """Whether both were trained and evaluated on the same table."""
    differences: Differences = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportContent:
    """Everything that a report shows."""

    name: str
    version: str
    estimator: str
    """Class of the estimator; empty if it is not known."""
    choice: str
    """Choice in conf/model; empty if it is not known."""
    roles: tuple[str, ...] = ()
    """Aliases when the report is made."""
    trained_at: datetime
    verdict: Mapping[str, Any] | None
    """As `training.gates.Verdict`; None if the gate has not judged the version."""
    evaluation: Mapping[str, Any]
    diagnostics: Diagnostics | None
    """None for runs without diagnostics."""
    contract: DataContract
    profile: Profile | None
    settings: Mapping[str, Any]
    """The configuration, flat."""
    origin: Lineage
    compared: Compared | None = None
    notices: tuple[str, ...] = ()
    """What people should know about the model, one sentence each."""
    card: ModelCard

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} version {self.version}"
