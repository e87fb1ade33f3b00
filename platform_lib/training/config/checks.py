"""Check that the values of a configuration fit each other and the data contract."""

import math
from collections.abc import Iterable

from platform_lib.errors import UsageError
from platform_lib.metrics import metric_named
from platform_lib.training.config.overrides import closest
from platform_lib.training.config.schema import SearchDimension, TrainConfig


def check_config(config: TrainConfig) -> None:
    """Reject values that would fail later, or that would compare models by the wrong number.

    Raises:
        UsageError: Names the key, its value and what was expected.
    """
    _check_gate(config)
    _check_split(config)
    _check_model(config)
    _check_search(config)
    for column in config.slices:
        _check_column(column, "slices", config.data.features, "the features are")


def check_metrics(config: TrainConfig) -> None:
    """Reject parameters of metrics that do not fit.

    Raises:
        UsageError: Names the key, its value and what was expected.
    """
    metrics, data = config.metrics, config.data
    if metrics.quantile is not None:
        if data.task != "regression":
            raise UsageError(
                f"metrics.quantile is {metrics.quantile}, but the target {data.target!r} is a class: set it to null."
            )
        if not 0 < metrics.quantile < 1:
            raise UsageError(f"metrics.quantile is {metrics.quantile}, expected a number between 0 and 1 such as 0.9.")
    if metrics.costs is None:
        return
    if data.task != "classification":
        raise UsageError(f"metrics.costs is set, but the target {data.target!r} is a number: set it to null.")
    costs = {(true, given): cost for true, row in metrics.costs.items() for given, cost in row.items()}
    for (true, given), cost in costs.items():
        if not (math.isfinite(cost) and cost >= 0):
            raise UsageError(
                f"metrics.costs has {cost} for {given!r} where {true!r} is true, expected a finite number of 0 or more."
            )
    if not any(cost for (true, given), cost in costs.items() if true != given):
        raise UsageError(
            "metrics.costs has no cost above 0 for a wrong label, so every model would be perfect: set one, such as "
            "{yes: {no: 10}}."
        )


def _check_gate(config: TrainConfig) -> None:
    gate, task = config.gate, config.data.task
    for key, name in (("gate.metric", gate.metric), *((f"gate.thresholds.{name}", name) for name in gate.thresholds)):
        try:
            metric_named(name, task)
        except UsageError as err:
            raise UsageError(f"{key}: {err}") from err
    for name, threshold in gate.thresholds.items():
        if not math.isfinite(threshold):
            raise UsageError(f"gate.thresholds.{name} is {threshold}, expected a finite number.")
    if not (math.isfinite(gate.delta) and gate.delta >= 0):
        raise UsageError(f"gate.delta is {gate.delta}, expected a finite number of 0 or more.")
    if not (math.isfinite(gate.standard_errors) and gate.standard_errors >= 0):
        raise UsageError(f"gate.standard_errors is {gate.standard_errors}, expected a finite number of 0 or more.")
    if not 100 <= gate.bootstrap_samples <= 100_000:
        raise UsageError(
            f"gate.bootstrap_samples is {gate.bootstrap_samples}, expected 100 to 100000: with fewer, the interval is "
            "mostly chance."
        )


def _check_split(config: TrainConfig) -> None:
    split = config.split
    if not 0 < split.test_share < 1:
        raise UsageError(f"split.test_share is {split.test_share}, expected a share between 0 and 1 such as 0.2.")
    if split.method == "group" and split.column is None:
        raise UsageError(
            f"split.column has no value, and split=group needs it; the columns are {', '.join(config.data.columns)}."
        )
    if split.method == "time" and split.cutoff is None:
        raise UsageError("split.cutoff has no value, and split=time needs it: set a date such as 2026-01-31.")
    if split.column is not None:
        _check_column(split.column, "split.column", config.data.columns, "the columns are")


def _check_model(config: TrainConfig) -> None:
    model, contract = config.model, config.data
    if model.threshold is not None and not 0 < model.threshold < 1:
        raise UsageError(
            f"model.threshold is {model.threshold}, expected a probability between 0 and 1 such as 0.3, or null."
        )
    if contract.task == "regression":
        for key, value in (("threshold", model.threshold), ("class_weight", model.class_weight)):
            if value is not None:
                raise UsageError(
                    f"model.{key} is {value}, but the target {contract.target!r} is a number: set it to null."
                )
    if isinstance(model.class_weight, str) and model.class_weight != "balanced":
        raise UsageError(
            f"model.class_weight is {model.class_weight!r}, expected null, balanced, or one weight per class."
        )
    if isinstance(model.class_weight, dict):
        for label, weight in model.class_weight.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(
                    f"model.class_weight has {weight} for {label!r}, expected a finite number of 0 or more."
                )


def _check_search(config: TrainConfig) -> None:
    search = config.search
    if search.trials < 1:
        raise UsageError(f"search.trials is {search.trials}, expected 1 or more.")
    if search.folds < 2:
        raise UsageError(f"search.folds is {search.folds}, expected 2 or more.")
    if search.timeout_s is not None and search.timeout_s <= 0:
        raise UsageError(f"search.timeout_s is {search.timeout_s}, expected seconds above 0, or null.")
    for model, space in search.space.items():
        for parameter, dimension in space.items():
            _check_dimension(f"search.space.{model}.{parameter}", dimension)


def _check_dimension(key: str, dimension: SearchDimension) -> None:
    if dimension.type == "choice":
        if not dimension.choices:
            raise UsageError(f"{key} is of type choice, expected `choices: [...]` with the values to try.")
        return
    low, high = dimension.low, dimension.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)) or low > high:
        ends = " to ".join("nothing" if end is None else f"{end:g}" for end in (low, high))
        raise UsageError(f"{key} goes from {ends}, expected two finite numbers, the lower one first.")
    if dimension.log and low <= 0:
        raise UsageError(f"{key} is searched on a log scale from {low:g}, expected low above 0.")
    if dimension.type == "int" and not (float(low).is_integer() and float(high).is_integer()):
        raise UsageError(f"{key} is of type int and goes from {low:g} to {high:g}, expected whole numbers.")


def _check_column(column: str, key: str, known: Iterable[str], listing: str) -> None:
    names = list(known)
    if column not in names:
        raise UsageError(
            f"{key} names the column {column!r}, but {listing} {', '.join(names)}.{closest(column, names)}"
        )
