"""Metrics of a project's own are measured, gated and searched as the built-in ones."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from platform_lib.errors import UsageError
from platform_lib.metrics import METRICS, score, standard_error
from platform_lib.metrics.own import load_own_metrics
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import Predictions
from platform_lib.settings import Project
from platform_lib.training.config.compose import compose

BODY = """
import numpy as np
from platform_lib.project import metric


@metric(greater_is_better=False)
def cost(truth, predictions):
    missed = (truth == "b") & (predictions.values == "a")
    false_alarm = (truth == "a") & (predictions.values == "b")
    return 10 * missed.mean() + false_alarm.mean()


def helper(truth, predictions):
    return 0.0
"""
AB = np.array(["a", "b", "a", "b"], dtype=object)
GIVEN = Predictions(np.array(["a", "a", "b", "b"], dtype=object), None, ("a", "b"))


@pytest.fixture(autouse=True)
def only_built_in_metrics_are_left() -> Iterator[None]:
    built_in = set(METRICS)
    yield
    load_own_metrics(Project(root=Path("/nowhere"), name="none", package="none"))
    assert set(METRICS) == built_in


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "src" / "measured").mkdir(parents=True)
    (tmp_path / "src" / "measured" / "__init__.py").touch()
    return Project(root=tmp_path, name="measured", package="measured", task="classification")


@pytest.fixture
def write(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(body: str) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "measured"]:
            monkeypatch.delitem(sys.modules, name)
        (project.root / "src" / "measured" / "metrics.py").write_text(textwrap.dedent(body), encoding="utf-8")

    return write


def test_a_decorated_function_is_a_metric_with_an_interval(project: Project, write: Callable[[str], None]) -> None:
    write(BODY)

    load_own_metrics(project)

    assert score("cost", AB, GIVEN) == pytest.approx(10 / 4 + 1 / 4)
    many = Predictions(np.tile(GIVEN.values, 50), None, GIVEN.classes)
    losses = np.array([0, 10, 1, 0])
    assert standard_error("cost", np.tile(AB, 50), many) == pytest.approx(losses.std() / np.sqrt(200), rel=0.15)
    assert "helper" not in METRICS


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (BODY.replace("cost(", "accuracy("), UsageError, "'accuracy' is a metric of the library"),
        (BODY.replace("truth ==", "truht =="), UsageError, "failed: NameError: name 'truht' is not defined (line 8 of"),
        (BODY.replace("return 10", "return [1]; 10"), UsageError, "returned [1], expected a number"),
        (BODY + "\nsyntax error", UsageError, "importing measured.metrics failed: SyntaxError"),
        (BODY.replace("return 10", "raise ValueError('too few rows'); 10"), MetricUndefined, "too few rows"),
        (BODY.replace("False)", "False, needs_probabilities=True)"), MetricUndefined, "gives no probabilities"),
    ],
    ids=["taken", "name", "type", "syntax", "undefined", "probabilities"],
)
def test_a_bad_metric_is_the_users_and_says_where(
    project: Project, write: Callable[[str], None], body: str, error: type[Exception], says: str
) -> None:
    write(body)

    with pytest.raises(error) as raised:
        load_own_metrics(project)
        score("cost", AB, GIVEN)

    assert says in str(raised.value)


def test_the_gate_may_use_a_metric_of_ones_own(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.root, tmp_path / "own", ignore=shutil.ignore_patterns(".git", ".mlp", ".venv"))
    own = Project(root=tmp_path / "own", name=trained.name, package=trained.package, task=trained.task)
    with pytest.raises(UsageError, match="'cost' is not a metric"):
        compose(own, ["gate.metric=cost"])

    metrics = own.root / "src" / own.package / "metrics.py"
    seed = metrics.read_text(encoding="utf-8")
    monkeypatch.delitem(sys.modules, f"{own.package}.metrics")
    metrics.write_text(seed.replace("# ", "").replace("#\n", "\n"), encoding="utf-8")

    assert compose(own, ["gate.metric=cost", "+gate.thresholds.cost=1"]).config.gate.metric == "cost"
