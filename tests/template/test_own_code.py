"""What docs/features-model-metrics.md tells people to write works in a generated project."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_lib.metrics.own import load_own_metrics
from platform_lib.settings import Project, load_settings
from platform_lib.training.run import train
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "features-model-metrics.md").read_text(encoding="utf-8")
FEATURES = re.findall(r"```python\n(# features\.py\n.*?)```", PAGE, re.DOTALL)
METRICS = re.findall(r"```python\n(# metrics\.py\n.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def only_built_in_metrics_are_left() -> Iterator[None]:
    yield
    load_own_metrics(Project(root=Path("/nowhere"), name="none", package="none"))


@pytest.mark.slow
@pytest.mark.parametrize("body", FEATURES, ids=["ratio", "learned"])
def test_a_documented_feature_is_used_and_a_documented_metric_measured(
    project: Project, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == project.package]:
        monkeypatch.delitem(sys.modules, name)
    source = project.root / "src" / project.package
    (source / "features.py").write_text(body, encoding="utf-8")
    (source / "metrics.py").write_text(METRICS[0], encoding="utf-8")

    result = train(project, load_settings({}), ["gate.metric=cost", "+gate.thresholds.cost=1"], allow_dirty=True)

    assert result.passed
    assert result.notices == ()
    assert 0 <= result.evaluation.metrics["cost"] < 1
    assert result.evaluation.standard_errors["cost"] > 0
