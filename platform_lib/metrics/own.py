"""Metrics of a project's own, from `src/<package>/metrics.py`: measured, shown and gated as the built-in ones.

A function states the score of some rows. A bootstrap calls it with the rows of each resample.
"""

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from platform_lib.errors import PlatformError, UsageError
from platform_lib.metrics import METRICS, Metric, take
from platform_lib.metrics.weighting import MetricUndefined, Weighted, Weights
from platform_lib.model.artifact import Predictions
from platform_lib.user_code import import_user_module

if TYPE_CHECKING:
    from platform_lib.settings import Project

Score = Callable[[NDArray[Any], Predictions], float]
_Function = TypeVar("_Function", bound=Score)
_OPTIONS = "__mlp_metric__"
_own: set[str] = set()


def metric(*, greater_is_better: bool, needs_probabilities: bool = False) -> Callable[[_Function], _Function]:
    """Make a function in `src/<package>/metrics.py` a metric that has the function's name.

    The function takes the true labels or numbers of n rows, shape (n,), and their `Predictions`; it returns the score
    as a number, or raises ValueError with the reason why these rows have none.

    Args:
        greater_is_better: Whether a higher score is better.
        needs_probabilities: Leaves the metric out for models that give no probabilities.
    """

    def mark(function: _Function) -> _Function:
        setattr(function, _OPTIONS, (greater_is_better, needs_probabilities))
        return function

    return mark


def load_own_metrics(project: "Project") -> None:
    """Add the project's own metrics to `METRICS`, in place of those of another project.

    Raises:
        UsageError: The file cannot be imported, or a metric has the name of a built-in one.
    """
    for name in _own:
        METRICS.pop(name, None)
    _own.clear()
    if not (project.root / "src" / project.package / "metrics.py").is_file():
        return
    module = import_user_module(project, "metrics")
    for name, function in vars(module).items():
        options = getattr(function, _OPTIONS, None)
        if options is None:
            continue
        if name in METRICS:
            raise UsageError(f"metrics.py: {name!r} is a metric of the library; give the function another name.")
        greater_is_better, needs_probabilities = options
        METRICS[name] = Metric(
            name=name,
            task=cast('Literal["classification", "regression"]', project.task),
            greater_is_better=greater_is_better,
            needs_probabilities=needs_probabilities,
            prepare=_prepared(name, function, needs_probabilities=needs_probabilities),
        )
        _own.add(name)


def _prepared(
    name: str, function: Score, *, needs_probabilities: bool
) -> Callable[[NDArray[Any], Predictions], Weighted]:
    def prepare(truth: NDArray[Any], predictions: Predictions) -> Weighted:
        if needs_probabilities and predictions.probabilities is None:
            raise MetricUndefined("the model gives no probabilities.")
        score = _called(name, function, truth, predictions)  # fails on these rows before a bootstrap begins

        def weighted(weights: Weights) -> float:
            counts = weights.astype(np.intp)
            if (counts == 1).all():
                return score
            rows = np.repeat(np.arange(len(truth)), counts)
            try:
                return _called(name, function, truth[rows], take(predictions, rows))
            except MetricUndefined:
                return float("nan")

        return weighted

    return prepare


def _called(name: str, function: Score, truth: NDArray[Any], predictions: Predictions) -> float:
    try:
        value = function(truth, predictions)
    except PlatformError:
        raise
    except ValueError as err:
        raise MetricUndefined(f"{err or 'the function raised ValueError'}.") from err
    except Exception as err:
        frame = traceback.extract_tb(err.__traceback__)[-1]
        raise UsageError(
            f"the metric {name!r} of metrics.py failed: {type(err).__name__}: {err} (line {frame.lineno} of "
            f"{frame.filename})."
        ) from err
    try:
        return float(value)
    except (TypeError, ValueError) as err:
        raise UsageError(f"the metric {name!r} of metrics.py returned {value!r:.60}, expected a number.") from err
