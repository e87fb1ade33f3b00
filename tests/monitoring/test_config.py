"""`conf/monitor.yaml`: limits, and what is wrong with them."""

from pathlib import Path

import pytest

from platform_lib.errors import UsageError
from platform_lib.infra.model import drift_rules
from platform_lib.infra.model.alerts import AlertThresholds
from platform_lib.monitoring.config import MonitorConfig, read_monitor_config
from platform_lib.monitoring.drift import SMALLEST_SHARE
from platform_lib.settings import Project


def project(folder: Path, text: str | None) -> Project:
    (folder / "conf").mkdir()
    if text is not None:
        (folder / "conf" / "monitor.yaml").write_text(text, encoding="utf-8")
    return Project(root=folder, name="m", package="m")


def test_the_platform_alerts_by_the_same_limits() -> None:
    ours, theirs = MonitorConfig(), AlertThresholds()
    assert (ours.psi, ours.min_rows) == (theirs.psi, theirs.drift_rows)
    assert SMALLEST_SHARE == drift_rules.SMALLEST_SHARE


@pytest.mark.parametrize("text", [None, "", "# nothing\n"])
def test_without_settings_the_defaults_hold(tmp_path: Path, text: str | None) -> None:
    assert read_monitor_config(project(tmp_path, text)) == MonitorConfig()


def test_a_column_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    config = read_monitor_config(project(tmp_path, "psi: 0.1\nfeatures: {income: 0.5}\n"))
    assert (config.limit_of("income"), config.limit_of("plan")) == (0.5, 0.1)


def test_a_prediction_without_a_weight_has_that_of_the_others(tmp_path: Path) -> None:
    config = read_monitor_config(project(tmp_path, "log_weights: {yes: 0.5, other: 0}\n"))
    assert [config.weight_of(prediction) for prediction in ("yes", "no")] == [0.5, 0.0]
    assert MonitorConfig().weight_of("yes") == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pis: 0.1", "unknown field `pis`.*The keys are psi, features, joint_auc, min_rows"),
        ("psi: high", "Expected `float`"),
        ("psi: 0", "psi is 0.0, expected a number above 0"),
        ("features: {a: -1}", "features.a is -1.0, expected a number above 0"),
        ("score_drop: -0.1", "score_drop is -0.1, expected a number of 0 or more"),
        ("windows_over: 4", "windows_over is 4, expected 1 to 3"),
        ("min_rows: 0", "min_rows is 0, expected a whole number of 1 or more"),
        ("log_weights: {yes: 1.5}", "log_weights.yes is 1.5, expected a number from 0 to 1"),
        ("promote: always", "Invalid enum value 'always'"),
        ("new_rows: soon", "new_rows: 'soon' is not a duration"),
        ('cooldown: ""', "cooldown: '' is not a duration"),
        ("psi: [", "conf/monitor.yaml: "),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_monitor_config(project(tmp_path, text))
