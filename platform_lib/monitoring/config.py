"""Limits of monitoring: `conf/monitor.yaml` of a project, or the defaults."""

import math
from typing import Literal

import msgspec
import yaml

from platform_lib.errors import UsageError
from platform_lib.monitoring.windows import parse_duration
from platform_lib.settings import Project

OTHER = "other"
"""Key of `log_weights` for every prediction that has no entry."""


class MonitorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When monitoring reports a problem."""

    psi: float = 0.25
    """Population stability index from which a column has drifted; 0.1 is a small shift, 0.25 a large one."""
    features: dict[str, float] = {}
    """The same limit for single columns; `prediction` is the model's answer."""
    joint_auc: float = 0.7
    """Area under the ROC curve from which a classifier that tells live rows from held-out ones means joint drift; 0.5
    is no difference."""
    min_rows: int = 500
    """Windows with fewer rows are not judged."""
    windows: int = 3
    """How many of the latest windows are looked at."""
    windows_over: int = 2
    """In how many of them a column must be over its limit, the latest included."""
    score_drop: float = 0.05
    """How far the live score may fall below the held-out one, beyond what chance explains, in the metric's unit."""
    min_labels: int = 50
    """Fewer labelled rows give no verdict on the live score."""
    log_weights: dict[str, float] = {}
    """How much logged rows count in `mlp data from-log`, by the model's prediction: 0 leaves them out, 0.25 takes a
    quarter of them, chosen by the request id; `other` is every other prediction."""
    promote: Literal["manual", "auto"] = "manual"
    """What becomes of a retrained version that passes the gate: `manual` makes it the candidate, `auto` the champion,
    if the registry allows it."""
    new_rows: str = ""
    """How far back a retraining appends labelled rows of the request log to the table first, such as `30d`; empty
    appends none."""
    cooldown: str = "24h"
    """After an alert has started a retraining, further alerts start none for this long."""

    def weight_of(self, prediction: str) -> float:
        """How much logged rows with this prediction count, from 0 to 1."""
        return self.log_weights.get(prediction, self.log_weights.get(OTHER, 1.0))

    def limit_of(self, column: str) -> float:
        """The column's limit of the population stability index."""
        return self.features.get(column, self.psi)


def read_monitor_config(project: Project) -> MonitorConfig:
    """Read `conf/monitor.yaml`; the defaults if the project has none.

    Raises:
        UsageError: The file has an unknown key or an invalid value; names it.
    """
    path = project.root / "conf" / "monitor.yaml"
    if not path.is_file():
        return MonitorConfig()
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text) or {}
        if isinstance(values, dict) and isinstance(weights := values.get("log_weights"), dict):
            # The keys are labels: YAML would read `yes` as true and `01` as 1.
            written = yaml.load(text, Loader=yaml.BaseLoader)["log_weights"]
            values["log_weights"] = dict(zip(written, weights.values(), strict=True))
        config = msgspec.convert(values, MonitorConfig)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as err:
        known = ", ".join(MonitorConfig.__struct_fields__)
        raise UsageError(f"conf/monitor.yaml: {err}. The keys are {known}.") from err
    for key, limit in {"psi": config.psi, **{f"features.{name}": v for name, v in config.features.items()}}.items():
        if not (math.isfinite(limit) and limit > 0):
            raise UsageError(f"conf/monitor.yaml: {key} is {limit}, expected a number above 0.")
    if not 0.5 < config.joint_auc <= 1:
        raise UsageError(f"conf/monitor.yaml: joint_auc is {config.joint_auc}, expected a number above 0.5, at most 1.")
    if not (math.isfinite(config.score_drop) and config.score_drop >= 0):
        raise UsageError(f"conf/monitor.yaml: score_drop is {config.score_drop}, expected a number of 0 or more.")
    if not 1 <= config.windows_over <= config.windows:
        raise UsageError(
            f"conf/monitor.yaml: windows_over is {config.windows_over}, expected 1 to {config.windows} (windows)."
        )
    for key, rows in (("min_rows", config.min_rows), ("min_labels", config.min_labels)):
        if rows < 1:
            raise UsageError(f"conf/monitor.yaml: {key} is {rows}, expected a whole number of 1 or more.")
    for prediction, weight in config.log_weights.items():
        if not 0 <= weight <= 1:  # nan is not
            raise UsageError(f"conf/monitor.yaml: log_weights.{prediction} is {weight}, expected a number from 0 to 1.")
    for key, duration in (("new_rows", config.new_rows), ("cooldown", config.cooldown)):
        if duration or key == "cooldown":
            try:
                parse_duration(duration)
            except UsageError as err:
                raise UsageError(f"conf/monitor.yaml: {key}: {err}") from err
    return config
