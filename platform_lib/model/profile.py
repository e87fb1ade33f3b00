"""The reference profile: each column's distribution over bins, stored with a model to compare live rows with.

The server counts live rows into the same bins; monitoring compares the two.
"""

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from platform_lib.data.contract import DataContract
from platform_lib.model.artifact import Predictions, category_text

if TYPE_CHECKING:  # a server counts into bins without pandas
    import pandas as pd

_QUANTILE_BINS = 10
_TOP_CATEGORIES = 20


class Bins(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The bins of one column, and the share of reference rows in each."""

    kind: Literal["number", "time", "boolean", "category"]
    shares: list[float]
    """One per bin, ≥ 0, summing to 1. The last bin is `missing`; for booleans and categories, the one before is
    `other`."""
    edges: list[float] = []
    """For number and time (seconds since 1970, UTC): ascending; bin i holds edges[i-1] ≤ value < edges[i], the first
    and last are open."""
    values: list[str] = []
    """For boolean `false` and `true`; for category the most frequent first, classes of a prediction in the model's
    order."""

    @property
    def labels(self) -> list[str]:
        """One text per bin, in the order of `shares`."""
        if self.kind in ("boolean", "category"):
            return [*self.values, "other", "missing"]
        texts = [f"{edge:.6g}" if self.kind == "number" else _iso(edge) for edge in self.edges]
        if not texts:
            return ["any", "missing"]
        between = [f"[{low}, {high})" for low, high in pairwise(texts)]
        return [f"< {texts[0]}", *between, f">= {texts[-1]}", "missing"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The reference rows' bins."""

    rows: int
    features: dict[str, Bins]
    """In the contract's order; private columns have none, because bins are values."""
    prediction: Bins


def bin_of(bins: Bins, value: Any) -> int:
    """The bin of one live value: an index into `bins.shares`.

    Args:
        bins: Of the value's column.
        value: As in the typed frame or a request: float, text, bool, datetime64, datetime or its text; None, NaN and
            NaT are missing.
    """
    if value is None or value != value:
        return len(bins.shares) - 1
    if bins.kind in ("boolean", "category"):
        text = _BOOLEANS.get(value, "") if bins.kind == "boolean" else category_text(value)
        try:
            return bins.values.index(text)
        except ValueError:
            return len(bins.values)
    number = float(value) if bins.kind == "number" else seconds_of(value)
    return bisect_right(bins.edges, number)


def build_profile(frame: "pd.DataFrame", predictions: Predictions, contract: DataContract) -> dict[str, Any]:
    """Profile the rows a model was trained on and its answers for them.

    Args:
        frame: n rows of features, from `data.frame.feature_frame`.
        predictions: The model's answers for these rows.
        contract: Types of the features.
    Returns:
        `Profile` as plain values for JSON; the same rows in any order give the same.
    """
    profile = Profile(
        rows=len(frame),
        features={
            name: column_bins(frame[name], is_boolean=contract.columns[name].type == "boolean")
            for name in contract.features
            if not contract.columns[name].is_private
        },
        prediction=prediction_bins(predictions),
    )
    return dict(msgspec.to_builtins(profile))


def parse_profile(values: dict[str, Any]) -> Profile:
    """The profile that `build_profile` wrote and `artifact.read_profile` read."""
    return msgspec.convert(values, Profile)


def prediction_bins(predictions: Predictions) -> Bins:
    """Bins of n predictions: every class, or quantiles of numbers."""
    if not predictions.classes:
        return _number_bins(np.asarray(predictions.values, dtype=np.float64), "number")
    tally = _tally(predictions.values.tolist())
    labels = [category_text(label) for label in predictions.classes]
    return _listed_bins("category", labels, [tally[label] for label in labels], len(predictions.values), missing=0)


def column_bins(series: "pd.Series", *, is_boolean: bool = False) -> Bins:
    """Bins of one typed column of n ≥ 1 rows."""
    import pandas as pd

    missing = int(series.isna().sum())
    if is_boolean:
        counts = [int((series == 0.0).sum()), int((series == 1.0).sum())]
        return _listed_bins("boolean", ["false", "true"], counts, len(series), missing)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        times = series.to_numpy(dtype="datetime64[us]")
        return _number_bins(np.where(np.isnat(times), np.nan, times.astype(np.int64) / 1e6), "time")
    if pd.api.types.is_numeric_dtype(series.dtype):
        return _number_bins(series.to_numpy(dtype=np.float64), "number")
    tally = _tally(series.dropna().tolist())
    # Equal counts in the order of their texts, so that the order of rows does not matter.
    top = sorted(tally.items(), key=lambda item: (-item[1], item[0]))[:_TOP_CATEGORIES]
    return _listed_bins("category", [text for text, _ in top], [count for _, count in top], len(series), missing)


def _tally(values: list[Any]) -> Counter[str]:
    """How often each text occurs among values of one type."""
    tally: Counter[str] = Counter()
    for value, count in Counter(values).items():
        tally[category_text(value)] += count
    return tally


def _number_bins(values: NDArray[np.float64], kind: Literal["number", "time"]) -> Bins:
    present = values[np.isfinite(values)]
    if not present.size:
        return Bins(kind=kind, edges=[], shares=[0.0, 1.0])
    inner = np.quantile(present, np.linspace(0, 1, _QUANTILE_BINS + 1)[:-1], method="inverted_cdf")
    # The edge after the largest value gives values outside the reference range, on each side, their own bins.
    edges = np.unique([*inner, np.nextafter(present.max(), np.inf)])
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    shares = [*(counts / len(values)).tolist(), (len(values) - present.size) / len(values)]
    return Bins(kind=kind, edges=edges.tolist(), shares=shares)


def _listed_bins(
    kind: Literal["boolean", "category"], values: list[str], counts: list[int], rows: int, missing: int
) -> Bins:
    other = rows - missing - sum(counts)
    return Bins(kind=kind, values=values, shares=[count / rows for count in (*counts, other, missing)])


_BOOLEANS = {True: "true", False: "false", "true": "true", "false": "false"}  # 1.0 and 0.0 are the same keys


def seconds_of(value: Any) -> float:
    """A time as seconds since 1970, UTC: from a number of them, a datetime, its ISO text or a datetime64."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, str):
        return seconds_of(datetime.fromisoformat(value))
    return float(np.datetime64(value, "us").astype(np.int64)) / 1e6


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
