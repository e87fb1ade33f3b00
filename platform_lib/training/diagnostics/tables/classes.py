"""Tables of a classifier."""

import msgspec

from platform_lib.training.diagnostics.tables.interval import Interval

CURVE_POINTS = 200
"""Most points of a curve."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver operating characteristic or a precision-recall curve, thinned to 200 points."""

    x: list[float]
    """False positive rate, or recall."""
    y: list[float]
    """True positive rate, or precision."""
    thresholds: list[float | None]
    """Probability from which a row counts as the class at each point; None where no probability is high enough, or
    (for precision-recall) at the last point, which has none."""
    area: float
    """Area under the ROC curve, or average precision; of the whole curve."""


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with similar probabilities."""

    rows: int
    predicted: float
    """Mean probability of the class."""
    observed: float
    """Share of the rows that are of the class."""
    interval: Interval
    """Of `observed`, by Wilson."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How far probabilities agree with frequencies, in up to ten bins of about equally many rows."""

    bins: list[CalibrationBin]
    error: float
    """Expected calibration error: mean distance of predicted and observed over the bins, weighted by rows."""
    error_by_chance: float
    """The error below which 95 % of perfectly calibrated models would stay on these rows."""


class ScoreDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """Histogram of the probability of a class."""

    edges: list[float]
    """One more than there are counts."""
    of_class: list[int]
    """Rows of the class, per bin."""
    of_others: list[int]


class ClassCurves(msgspec.Struct, frozen=True, kw_only=True):
    """One class against the rest."""

    label: str
    rows: int
    """Rows of the class."""
    base_rate: float
    """Share of the rows that are of the class: the precision of chance."""
    roc: Curve
    precision_recall: Curve
    calibration: Calibration
    scores: ScoreDistribution


class CostChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The threshold with the lowest cost, if a missed positive costs `miss_cost` times a false alarm."""

    miss_cost: float
    threshold: float
    cost: float
    """Per row, in false alarms."""
    precision: float
    recall: float
    predicted: float
    """Share of rows predicted positive."""


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """What each threshold would give, for two classes. Chosen on the rows it is measured on, so a little optimistic."""

    positive: str
    """The positive class, the second one."""
    current: float | None
    """The threshold of the model's own predictions, 0.5 unless `model.threshold` is set; None if it has no such one."""
    thresholds: list[float]
    """Ascending probabilities of rows; a row is predicted positive if its probability is at least this."""
    precision: list[float]
    recall: list[float]
    f1: list[float]
    predicted: list[float]
    """Share of rows predicted positive."""
    true_positives: list[int]
    false_positives: list[int]
    false_negatives: list[int]
    true_negatives: list[int]
    best_f1: float
    """The threshold with the highest F1."""
    costs: list[CostChoice]
    """For some prices of a missed positive."""


class ClassTables(msgspec.Struct, frozen=True, kw_only=True):
    """Diagnostics of a classifier."""

    labels: list[str]
    """The model's classes, then labels that only the rows have."""
    confusion: list[list[int]]
    """One row per true class, one column per predicted class, in the order of `labels`."""
    curves: list[ClassCurves] = []
    """The positive class of two; of more classes each one, the 20 most frequent at most."""
    thresholds: Thresholds | None = None
