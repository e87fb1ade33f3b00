"""Types of the training configuration. `compose` reads the files."""

from typing import Any, Literal

import msgspec

from platform_lib.data.contract import DataContract


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The estimator and its parameters: `conf/model/<choice>.yaml`."""

    name: str
    """Which estimator `build_model` in `src/<package>/model.py` makes."""
    class_weight: str | dict[Any, float] | None = None
    """None, `balanced`, or one weight per class."""
    threshold: float | None = None
    """Probability of the positive (second) class from which it is predicted; None keeps the estimator's rule. Two
    classes only."""
    params: dict[str, Any] = {}
    """Keyword arguments of the estimator."""


class SplitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows are held out: `conf/split/<choice>.yaml`."""

    method: Literal["hash", "group", "time"] = "hash"
    """By a hash of each row's key, by a hash of a group, or by time."""
    test_share: float = 0.2
    """Share of rows (hash) or groups (group) held out, in (0, 1)."""
    column: str | None = None
    """The group column, for `group`."""
    cutoff: str | None = None
    """ISO 8601; rows at or after it are held out, for `time`. Fixed, because a moving cutoff would train on rows once
    held out."""
    salt: str = ""
    """A different salt gives a different split, which trains on rows that were held out before."""


class GateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a candidate may replace the champion: `conf/gate/<choice>.yaml`."""

    metric: str
    """Name in `metrics.METRICS` on which candidate and champion are compared."""
    thresholds: dict[str, float] = {}
    """Per metric, the value to reach: a minimum, or a maximum if lower is better."""
    delta: float = 0.01
    """How much worse than the champion a candidate may be, in the metric's unit, ≥ 0."""
    standard_errors: float = 2.0
    """How far delta may grow on a small hold-out, in standard errors of the champion's score, ≥ 0. It grows just enough
    that most candidates pass that are as good as the champion."""
    bootstrap_samples: int = 1000
    """Resamples of the held-out rows for intervals, 100 to 100,000."""


class MetricsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of metrics: `metrics` in `conf/train.yaml`."""

    costs: dict[Any, dict[Any, float]] | None = None
    """Per true label and predicted label, the cost of a row, such as `{yes: {no: 10}, no: {yes: 1}}`; what is not
    listed costs nothing. Adds the metric `mean_cost`."""
    quantile: float | None = None
    """The quantile that the model predicts, in (0, 1). Adds the metric `pinball`."""


class SearchDimension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hyper-parameter's range, or its choices."""

    type: Literal["int", "float", "choice"]
    """Whole numbers, numbers, or a list of values."""
    low: float | None = None
    """Smallest value, for `int` and `float`."""
    high: float | None = None
    """Largest value, for `int` and `float`."""
    log: bool = False
    """Whether to search the range on a logarithmic scale."""
    choices: list[Any] | None = None
    """The values, for `choice`."""


class SearchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `mlp sweep` searches: `conf/search/<choice>.yaml`."""

    trials: int = 20
    """Combinations of values to try."""
    folds: int = 5
    """Folds of the training rows that score each trial."""
    timeout_s: float | None = None
    """Seconds after which no more trials start."""
    space: dict[str, dict[str, SearchDimension]] = {}
    """Per choice of `model` and parameter in `model.params`, its range."""


class TrainConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run's resolved configuration. The user's `build_features` and `build_model` receive it."""

    data: DataContract
    model: ModelConfig
    gate: GateConfig
    split: SplitConfig = SplitConfig()
    search: SearchConfig = SearchConfig()
    metrics: MetricsConfig = MetricsConfig()
    features: dict[str, Any] = {}
    """Settings for the user's `build_features`: `conf/features/<choice>.yaml`."""
    slices: list[str] = []
    """Columns by whose values the evaluation is broken down."""
    diagnostics: bool = True
    """Whether the run gets curves, importances, slices and rows; `on` or `off` in files and on the command line."""
    seed: int = 0
    """Seed of the estimator, of the search and of the bootstrap."""
