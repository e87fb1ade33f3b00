"""Tables of a regression."""

import msgspec

from platform_lib.training.diagnostics.tables.interval import Interval


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of rows in bins of equal width."""

    edges: list[float]
    """One more than there are counts."""
    counts: list[int]
    below: int = 0
    """Rows below the first edge."""
    above: int = 0


class Scatter(msgspec.Struct, frozen=True, kw_only=True):
    """Up to 1,000 rows as points, the same ones in every run on the same rows."""

    predicted: list[float]
    actual: list[float]
    rows: int
    """Rows that the points stand for."""


class ResidualBin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with similar predictions."""

    rows: int
    predicted: float
    """Mean prediction."""
    mean: float
    """Mean residual, prediction − actual."""
    low: float
    """10 % of the residuals are below."""
    high: float
    """10 % of the residuals are above."""
    interval: Interval
    """Of `mean`."""


class NumberTables(msgspec.Struct, frozen=True, kw_only=True):
    """Diagnostics of a regression, in the target's unit. A residual is prediction − actual."""

    scatter: Scatter | None
    """None if the target's values may not be shown."""
    residuals: Histogram
    """Of the residuals; its bins cover the middle 99 % of them."""
    by_prediction: list[ResidualBin]
    """Up to ten bins of about equally many rows, by prediction."""
    error_quantiles: dict[str, float]
    """Absolute error by share of rows below it: `0.5`, `0.8`, `0.9`, `0.95`, `0.99`, `1`."""
    bias: float
    """Mean residual."""
    bias_interval: Interval
