"""The tables of `diagnostics.json`: what a run's diagnostics contain, as typed values.

All numbers are about the held-out rows unless a docstring says otherwise, and are rounded to six significant digits.
Lists of one part that belong together have equal lengths. Curves have at most 200 points.
"""

import msgspec

from platform_lib.training.diagnostics.tables.classes import (
    CURVE_POINTS,
    Calibration,
    CalibrationBin,
    ClassCurves,
    ClassTables,
    CostChoice,
    Curve,
    ScoreDistribution,
    Thresholds,
)
from platform_lib.training.diagnostics.tables.features import Dependence, Importance, Importances, Slice, SliceSearch
from platform_lib.training.diagnostics.tables.interval import Interval
from platform_lib.training.diagnostics.tables.numbers import Histogram, NumberTables, ResidualBin, Scatter
from platform_lib.training.diagnostics.tables.rows import LabelErrors, RowRecord

__all__ = [
    "CURVE_POINTS",
    "SCHEMA_VERSION",
    "Calibration",
    "CalibrationBin",
    "ClassCurves",
    "ClassTables",
    "CostChoice",
    "Curve",
    "Dependence",
    "Diagnostics",
    "Histogram",
    "Importance",
    "Importances",
    "Interval",
    "LabelErrors",
    "NumberTables",
    "Picture",
    "ResidualBin",
    "RowRecord",
    "Scatter",
    "ScoreDistribution",
    "Slice",
    "SliceSearch",
    "Thresholds",
]

SCHEMA_VERSION = 1
"""Of `diagnostics.json`: new fields with a default leave it, any other change raises it."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of the run, as PNG."""

    file: str
    """Path among the run's artifacts, such as `diagnostics/roc.png`."""
    title: str
    description: str
    """What it shows, in a sentence, for those who do not see it."""


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """All diagnostics of a run: the artifact `diagnostics.json`."""

    version: int = SCHEMA_VERSION
    task: str
    target: str
    rows: int
    """Held-out rows."""
    classes: ClassTables | None = None
    numbers: NumberTables | None = None
    importances: Importances | None = None
    dependence: list[Dependence] = []
    """Of the strongest features."""
    slices: SliceSearch | None = None
    worst_rows: list[RowRecord] = []
    """Largest errors first; at most 20."""
    label_errors: LabelErrors | None = None
    pictures: list[Picture] = []
    not_computed: dict[str, str] = {}
    """Per part that could not be computed, or not wholly, the reason."""
