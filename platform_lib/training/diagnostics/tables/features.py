"""Tables of features: importance, partial dependence, and slices of their values."""

import msgspec

from platform_lib.training.diagnostics.tables.interval import Interval


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse the metric gets when one feature's values are shuffled."""

    feature: str
    loss: float
    """In the metric's unit, positive if shuffling makes it worse; mean over the repeats."""
    interval: Interval
    """Over the choice of rows and shuffles."""


class Importances(msgspec.Struct, frozen=True, kw_only=True):
    """Permutation importance on some of the rows. Features that carry the same information share it."""

    metric: str
    score: float
    """Of the unshuffled rows."""
    rows: int
    repeats: int
    features: list[Importance]
    """The strongest first."""


class Dependence(msgspec.Struct, frozen=True, kw_only=True):
    """Partial dependence: the mean prediction if all rows had one value of the feature."""

    feature: str
    values: list[float | str]
    """Numbers in ascending order, categories by frequency, times as ISO 8601."""
    kind: str
    """`number`, `category` or `time`."""
    classes: list[str]
    """What `means` are probabilities of: the positive class of two, or up to five classes; empty for numbers."""
    means: list[list[float]]
    """One list per class, or the only one: mean prediction per value."""
    rows: int
    """Rows that the means are over."""


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with one value, or interval of values, in one column."""

    column: str
    value: str
    """As in `evaluation.json`; for a private column `group 1`, `group 2`, …"""
    rows: int
    loss: float
    """Share of wrong predictions, or mean absolute error."""
    interval: Interval
    """Of `loss`."""
    loss_elsewhere: float
    """Of the other rows."""
    expected_loss: float | None
    """The share of wrong predictions that the model's own probabilities announce; None without probabilities."""
    p_value: float
    """That rows no worse than the others would look like this."""
    adjusted_p_value: float
    """The same, corrected by Benjamini and Hochberg for the number of slices that were looked at."""
    configured: bool
    """Whether its column is in `slices` of conf/train.yaml."""


class SliceSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Slices that are worse than the rest of the rows."""

    loss: str
    """`share wrong` or `mean absolute error`."""
    overall: float
    looked_at: int
    """Slices with enough rows."""
    smallest: int
    """Rows that a slice needs to be looked at."""
    found: list[Slice]
    """Worse with an adjusted p-value below 0.05, the clearest difference first; at most 20."""
    configured: list[Slice]
    """All slices of configured columns with enough rows, found or not."""
