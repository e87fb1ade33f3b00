"""`mean_cost` and `pinball` have a parameter, equal scikit-learn, and are gated as any metric."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, mean_pinball_loss

from platform_lib.errors import UsageError
from platform_lib.metrics import METRICS, score, standard_error, weighted_score
from platform_lib.metrics.configured import configure_metrics
from platform_lib.metrics.weighting import draw_weights
from platform_lib.model.artifact import Predictions
from platform_lib.settings import Project
from platform_lib.training.baselines import constant_predictions, constant_scores
from platform_lib.training.config.compose import compose, read_config
from platform_lib.training.config.schema import GateConfig
from platform_lib.training.gates import judge

COSTS = {"cat": {"dog": 2.0}, "dog": {"cat": 10.0, "owl": 1.5}}


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    configure_metrics(costs=COSTS, quantile=0.9)
    yield
    configure_metrics(costs=None, quantile=None)


def _labels(rows: int = 200) -> tuple[Any, Predictions]:
    generator = np.random.default_rng(4)
    labels = np.array(["cat", "dog", "owl"], dtype=object)
    truth = labels[generator.integers(0, 3, rows)]
    given = np.where(generator.random(rows) < 0.4, labels[generator.integers(0, 3, rows)], truth)
    return truth, Predictions(given, None, ("cat", "dog", "owl"))


def _numbers(rows: int = 200) -> tuple[Any, Predictions]:
    generator = np.random.default_rng(4)
    truth = generator.normal(5, 2, rows)
    return truth, Predictions(truth + generator.normal(0.5, 1, rows), None)


def test_cost_is_the_confusion_matrix_weighted_with_the_costs() -> None:
    truth, predictions = _labels()
    counts = confusion_matrix(truth, predictions.values, labels=["cat", "dog", "owl"])
    expected = (counts * np.array([[0, 2, 0], [10, 0, 1.5], [0, 0, 0]])).sum() / len(truth)

    assert score("mean_cost", truth, predictions) == pytest.approx(expected, rel=1e-15)


def test_pinball_is_scikit_learns() -> None:
    truth, predictions = _numbers()

    expected = mean_pinball_loss(truth, predictions.values, alpha=0.9)
    assert score("pinball", truth, predictions) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("name", "draw"), [("mean_cost", _labels), ("pinball", _numbers)])
def test_row_weights_equal_repeated_rows_and_there_is_an_interval(
    name: str, draw: Callable[[], tuple[Any, Predictions]]
) -> None:
    truth, predictions = draw()
    weights = draw_weights(np.random.default_rng(5), len(truth))
    rows = np.repeat(np.arange(len(truth)), weights.astype(int))
    again = Predictions(predictions.values[rows], None, predictions.classes)

    assert weighted_score(name, truth, predictions)(weights) == pytest.approx(score(name, truth[rows], again), rel=1e-9)
    assert (standard_error(name, truth, predictions) or 0) > 0


def test_the_constant_to_beat_is_the_cheapest_class_or_the_quantile() -> None:
    truth, _ = _labels()
    cheapest = min(float(np.mean([COSTS.get(t, {}).get(c, 0.0) for t in truth])) for c in ("cat", "dog", "owl"))
    numbers, _ = _numbers()

    assert constant_scores(truth, truth, "classification")["mean_cost"] == pytest.approx(cheapest)
    quantile = mean_pinball_loss(numbers, np.full(len(numbers), np.quantile(numbers, 0.9)), alpha=0.9)
    assert constant_scores(numbers, numbers, "regression")["pinball"] == pytest.approx(quantile)


def test_the_gate_decides_by_cost_with_a_paired_interval() -> None:
    truth, champion = _labels()
    cheaper = Predictions(np.where(truth == "dog", "dog", champion.values), None, champion.classes)
    gate = GateConfig(metric="mean_cost", thresholds={"mean_cost": 3.0})
    constants = constant_predictions(truth, len(truth), "classification", "mean_cost")

    better = judge(gate, truth=truth, candidate=cheaper, champion=champion, constants=constants)
    worse = judge(gate, truth=truth, candidate=champion, champion=cheaper, constants=constants)

    assert better.interval is not None
    assert (better.passed, better.interval[0] > 0) == (True, True)
    assert (worse.decision, worse.passed) == ("refused", False)


def test_the_configuration_adds_and_removes_them(trained: Project, trained_regression: Project) -> None:
    settings = ["metrics.costs={Adelie: {Gentoo: 5}}", "gate.metric=mean_cost", "gate.thresholds={mean_cost: 1}"]

    composed = compose(trained, settings)

    assert composed.config.metrics.costs == {"Adelie": {"Gentoo": 5.0}}
    assert read_config(composed.resolved_yaml) == composed.config
    assert ("mean_cost" in METRICS, "pinball" in METRICS) == (True, False)
    compose(trained_regression, ["metrics.quantile=0.1", "gate.metric=pinball", "gate.thresholds={}"])
    assert ("mean_cost" in METRICS, "pinball" in METRICS) == (False, True)
    compose(trained)
    assert ("mean_cost" in METRICS, "pinball" in METRICS) == (False, False)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("metrics.costs={Adelle: {Gentoo: 1}}", "metrics.costs has an entry for 'Adelle', but the labels of 'species'"),
        ("metrics.costs={Adelie: {Gento: 1}}", "metrics.costs.Adelie has an entry for 'Gento'"),
        (
            "metrics.costs={Adelie: {Gentoo: -1}}",
            "metrics.costs has -1.0 for 'Gentoo' where 'Adelie' is true, expected",
        ),
        ("metrics.costs={Adelie: {Adelie: 1}}", "no cost above 0 for a wrong label"),
        ("metrics.quantile=0.5", "metrics.quantile is 0.5, but the target 'species' is a class"),
        ("metrics.cost=1", "no key 'metrics.cost': metrics has costs, quantile. Did you mean 'costs'"),
        ("gate.metric=mean_cost", "gate.metric: 'mean_cost' is not a metric"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(trained: Project, setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        compose(trained, [setting])


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("metrics.quantile=1", "expected a number between 0 and 1 such as 0.9"),
        ("metrics.costs={a: {b: 1}}", "metrics.costs is set, but the target 'miles_per_gallon' is a number"),
    ],
)
def test_parameters_that_do_not_fit_numbers_are_refused(trained_regression: Project, setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        compose(trained_regression, [setting])
