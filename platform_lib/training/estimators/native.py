"""Estimators that take categories as codes and missing values as they are, and how each is told the columns.

To add an estimator, write a function that marks its categorical columns, and list its class in `_NATIVE`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator, clone

Mark = Callable[[Any, Sequence[int], int], None]
"""Tell an estimator which of its columns are categories: the estimator, their positions, and the number of columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeCategories:
    """How a class of estimators takes categories: as codes 0, 1, … in a column of their own, NaN for missing ones."""

    mark: Mark | None = None
    """None for an estimator that takes codes as ordinary numbers."""
    limit: Callable[[Any], int] | None = None
    """Largest number of codes per column that an estimator allows; None if there is no limit."""
    is_single: bool = False
    """Whether it rounds numbers to float32, so that large ones must be scaled before."""
    least_values: int = 1
    """Fewest values in a column that it can learn from."""
    least_share: float = 0.0
    """The same as a share of the rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeEstimator:
    """An estimator that takes categories, alone or inside another one."""

    estimator: BaseEstimator
    """The one that takes them, which `model` contains or is."""
    model: BaseEstimator
    """A copy of what the user built, for `mark` to change."""
    how: NativeCategories

    @property
    def most_codes(self) -> int | None:
        """Largest number of codes per column; None for no limit."""
        return None if self.how.limit is None else self.how.limit(self.estimator)

    def mark(self, positions: Sequence[int], columns: int) -> None:
        """Tell the estimator which of its columns are categories.

        Args:
            positions: Of the categorical columns, from 0.
            columns: Number of all columns.
        """
        if self.how.mark is not None and positions:
            self.how.mark(self.estimator, positions, columns)


def native_estimator(model: BaseEstimator) -> NativeEstimator | None:
    """Return how an estimator takes categories, or None if they must be numbers: one column per category.

    An estimator that already names its categorical columns, or that refuses missing values, gives None as well.
    """
    if _native_part(model) is None:
        return None
    copy = clone(model)
    part = _native_part(copy)
    return None if part is None else NativeEstimator(estimator=part[0], model=copy, how=part[1])


def _native_part(model: Any) -> tuple[Any, NativeCategories] | None:
    inner = _WRAPPERS.get(_path(model))
    if inner is not None:
        return _native_part(getattr(model, inner))
    how = _NATIVE.get(_path(model))
    if how is None or not model.__sklearn_tags__().input_tags.allow_nan:
        return None
    if how is _HISTOGRAM and not (model.categorical_features is None or model.categorical_features == "from_dtype"):
        return None
    if how is _BOOSTED:
        if model.categorical_features is not None:
            return None
        how = _BOOSTED if model.library == "lightgbm" else _BOOSTED_SINGLE
    return model, how


def _path(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _mark_histogram(estimator: Any, positions: Sequence[int], columns: int) -> None:
    estimator.set_params(categorical_features=[position in positions for position in range(columns)])


def _mark_boosted(estimator: Any, positions: Sequence[int], columns: int) -> None:
    del columns
    estimator.set_params(categorical_features=list(positions))


# Its bins are chosen on 200,000 rows, or fewer if it stops early, and fail on a column that is empty there. A leaf has
# 20 rows.
_HISTOGRAM = NativeCategories(
    mark=_mark_histogram, limit=lambda estimator: int(estimator.max_bins), least_values=20, least_share=0.0002
)
_FOREST = NativeCategories(is_single=True)
_BOOSTED = NativeCategories(mark=_mark_boosted)
_BOOSTED_SINGLE = NativeCategories(mark=_mark_boosted, is_single=True)
"""XGBoost and CatBoost."""
_NATIVE = {
    **{
        f"sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoosting{task}": _HISTOGRAM
        for task in ("Classifier", "Regressor")
    },
    **{
        f"sklearn.{name}{task}": _FOREST
        for name in ("tree._classes.DecisionTree", "ensemble._forest.RandomForest", "ensemble._forest.ExtraTrees")
        for task in ("Classifier", "Regressor")
    },
    **{f"platform_lib.boosters.estimators.BoostedTrees{task}": _BOOSTED for task in ("Classifier", "Regressor")},
}
"""By `module.Class`. A subclass, which may do anything, has another path."""

_WRAPPERS = {
    "sklearn.calibration.CalibratedClassifierCV": "estimator",
    "sklearn.compose._target.TransformedTargetRegressor": "regressor",
    "sklearn.model_selection._classification_threshold.FixedThresholdClassifier": "estimator",
    "sklearn.model_selection._classification_threshold.TunedThresholdClassifierCV": "estimator",
}
"""Estimators that pass their columns to another one, and the name of that attribute."""
