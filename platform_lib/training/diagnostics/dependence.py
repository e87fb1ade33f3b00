"""Partial dependence of the strongest features: the mean prediction if all rows had one value."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import Column
from platform_lib.model.artifact import category_text, predict
from platform_lib.training.diagnostics.held_out import HeldOut, NotComputable, rounded, rounded_list
from platform_lib.training.diagnostics.tables import Dependence

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

MOST_FEATURES = 6
ROWS = 300
_VALUES = 20
_MOST_CLASSES = 5


def partial_dependence(
    pipeline: "Pipeline", rows: HeldOut, features: Iterable[str], *, seed: int
) -> tuple[list[Dependence], list[str]]:
    """Compute it as scikit-learn does by brute force, but with one call per feature instead of one per value.

    Args:
        pipeline: Fitted.
        rows: The held-out rows.
        features: The strongest first.
        seed: Of the 300 rows that are used.
    Returns:
        The first six features that are not private, and the private ones before them.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:ROWS])
    frame = rows.frame.iloc[chosen].reset_index(drop=True)
    found: list[Dependence] = []
    hidden: list[str] = []
    for name in features:
        if len(found) == MOST_FEATURES:
            break
        column = rows.contract.columns[name]
        if column.is_private:
            hidden.append(name)
            continue
        values = grid(rows.frame[name], column)
        if len(values) > 1:
            found.append(_of_one(pipeline, rows, frame, name, values))
    return found, hidden


def grid(series: pd.Series, column: Column) -> NDArray[Any]:
    """The values at which a feature is set: up to 20 quantiles, or the most frequent categories; none is missing.

    Args:
        series: Of the feature, shape (n,).
        column: Its entry in the contract.
    """
    present = series.dropna()
    if column.type == "string":
        return present.value_counts(sort=True).index[:_VALUES].to_numpy(dtype=object)
    distinct = np.sort(present.unique())
    if len(distinct) <= _VALUES:
        return distinct
    # Not the outermost values, which are rare.
    quantiles = present.quantile(np.linspace(0.02, 0.98, _VALUES), interpolation="nearest")
    return np.unique(quantiles.to_numpy())


def _of_one(pipeline: "Pipeline", rows: HeldOut, frame: pd.DataFrame, name: str, values: NDArray[Any]) -> Dependence:
    repeated = frame.loc[np.tile(np.arange(len(frame)), len(values))].reset_index(drop=True)
    repeated[name] = pd.Series(np.repeat(values, len(frame))).astype(frame[name].dtype)
    predictions = predict(pipeline, repeated)
    labels, positions = _shown_classes(rows)
    if rows.is_classification:
        if predictions.probabilities is None:
            raise NotComputable("the model gives no probabilities.")
        outputs = predictions.probabilities[:, positions]
    else:
        outputs = np.asarray(predictions.values, dtype=np.float64)[:, None]
    means = outputs.reshape(len(values), len(frame), -1).mean(axis=1)
    kind, texts = _texts(values, rows.contract.columns[name])
    return Dependence(
        feature=name,
        values=texts,
        kind=kind,
        classes=labels,
        means=[rounded_list(means[:, number]) for number in range(means.shape[1])],
        rows=len(frame),
    )


def _shown_classes(rows: HeldOut) -> tuple[list[str], list[int]]:
    classes = rows.predictions.classes
    positions = list(range(len(classes)))
    if len(classes) == 2:
        positions = [1]
    elif len(classes) > _MOST_CLASSES:
        counts = [int(np.sum(np.asarray(rows.truth, dtype=object) == label)) for label in classes]
        positions = sorted(np.argsort(np.negative(counts), kind="stable")[:_MOST_CLASSES].tolist())
    return [category_text(classes[position]) for position in positions], positions


def _texts(values: NDArray[Any], column: Column) -> tuple[str, list[float | str]]:
    if column.type == "boolean":
        return "category", [category_text(bool(value)) for value in values]
    if column.type == "string":
        return "category", [str(value) for value in values]
    if column.type == "datetime":
        return "time", [pd.Timestamp(value).isoformat() for value in values]
    return "number", [rounded(value) for value in values]
