"""Two scikit-learn estimators that fit LightGBM, XGBoost or CatBoost. Their names and fitted attributes never change.

A fitted estimator keeps the library's own model format as bytes, and plain values otherwise. So a model file that holds
one is loaded without pickle, whatever the library's own estimators contain.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from platform_lib.boosters.libraries import library
from platform_lib.boosters.problem import Fitted, Predict, Problem, Rows
from platform_lib.errors import UsageError

TREES = 500
SHARE = 0.1
_WITHOUT_INNER_ROWS = 100
"""Most trees if the table is too small for inner rows."""
_PARALLEL_VALUES = 1_000_000
"""Values from which several threads are used: on a busy machine, threads that wait for each other cost more than they
gain."""


class _BoostedTrees(BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    def __init__(
        self,
        library: str = "lightgbm",
        *,
        params: dict[str, Any] | None = None,
        categorical_features: list[int] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.library = library
        self.params = params
        self.categorical_features = categorical_features
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Missing values are allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The attributes without the library's object, which is built again from `model_`."""
        return {name: value for name, value in super().__getstate__().items() if name != "_predict_block"}

    def predict_block(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict checked rows, shape (n, k): numbers, shape (n,), or probabilities, shape (n, classes)."""
        predict: Predict | None = getattr(self, "_predict_block", None)
        if predict is None:
            predict = self._load()
        return predict(block)

    def _load(self) -> Predict:
        check_is_fitted(self, "model_")
        classes = len(getattr(self, "classes_", ()))
        predict: Predict = library(self.library).adapter.predictor(
            self.model_, classes, tuple(self.categorical_features or ())
        )
        self._predict_block = predict
        return predict

    def _fit(self, block: NDArray[np.float64], given: Any, target: NDArray[Any], weights: Any, classes: int) -> None:
        """Fit with early stopping on inner rows, then with the best number of trees on all rows.

        Args:
            block: Shape (n, k).
            given: The target as `fit` got it.
            target: Class numbers or numbers, shape (n,).
            weights: Shape (n,), or None.
            classes: Number of classes; 0 is regression.
        """
        from platform_lib.boosters.inner_rows import inner_mask

        chosen = library(self.library)
        params, patience, share = _settings(dict(self.params or {}), chosen.title, chosen.reserved)
        everything = Rows(block=block, target=target, weights=weights)

        def fit(rows: Rows, inner: Rows | None, trees: int) -> Fitted:
            fitted: Fitted = chosen.adapter.fit(
                Problem(
                    rows=rows,
                    inner=inner,
                    classes=classes,
                    categorical=tuple(self.categorical_features or ()),
                    params={**params, "n_estimators": trees},
                    patience=patience,
                    seed=self.random_state or 0,
                    threads=_threads(block),
                )
            )
            return fitted

        trees = params["n_estimators"]
        inner_rows = 0
        if patience:
            mask = inner_mask(block, np.asarray(given), share, target if classes else None)
            if mask is None:
                trees = min(trees, _WITHOUT_INNER_ROWS)
            else:
                inner_rows = int(mask.sum())
                trees = max(1, fit(everything.where(~mask), everything.where(mask), trees).trees)
        fitted = fit(everything, None, trees)
        self.__dict__.pop("_predict_block", None)
        self.model_, self.n_trees_, self.n_inner_rows_ = fitted.model, fitted.trees, inner_rows
        self.n_features_in_ = block.shape[1]

    def _checked(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "model_")
        block = _block(X)
        if block.shape[1] != self.n_features_in_:
            raise ValueError(f"X has {block.shape[1]} features, but {self.n_features_in_} were fitted.")
        return block


class BoostedTreesClassifier(ClassifierMixin, _BoostedTrees):  # type: ignore[misc]
    """Classify with LightGBM, XGBoost or CatBoost. Labels may be texts, numbers or booleans.

    With `early_stopping_rounds`, the number of trees is the best one on inner rows, a part of the training rows. The
    model is then fitted on all of them.

    Args:
        library: `lightgbm`, `xgboost` or `catboost`.
        params: Keyword arguments of the library's estimator, and `early_stopping_rounds` (null or 0 for none) and
            `validation_share` (of the training rows).
        class_weight: None, `balanced`, or one weight per label.
        categorical_features: Positions of columns with category numbers, 0, 1, …; NaN is missing.
        random_state: The seed.

    Attributes:
        classes_: The labels in order, shape (k,).
        model_: The model in the library's format.
        n_trees_: Number of boosting rounds.
        n_inner_rows_: Number of rows that decided on it; 0 if none did.
    """

    def __init__(
        self,
        library: str = "lightgbm",
        *,
        params: dict[str, Any] | None = None,
        class_weight: str | dict[Any, float] | None = None,
        categorical_features: list[int] | None = None,
        random_state: int | None = None,
    ) -> None:
        super().__init__(library, params=params, categorical_features=categorical_features, random_state=random_state)
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit features, shape (n, k), to labels, shape (n,), with weights, shape (n,), if given."""
        from sklearn.utils.class_weight import compute_class_weight

        block = _block(X)
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has one class, and a classifier needs at least two")
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if self.class_weight is not None:
            by_class = (
                compute_class_weight("balanced", classes=np.arange(len(self.classes_)), y=codes)
                if isinstance(self.class_weight, str)
                else np.array([float(self.class_weight.get(label, 1.0)) for label in self.classes_.tolist()])
            )
            weights = by_class[codes] * (1.0 if weights is None else weights)
        self._fit(block, y, codes, weights, len(self.classes_))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities, shape (n, k), in the order of `classes_`."""
        return self.predict_block(self._checked(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The label with the largest probability for each row, shape (n,)."""
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels


class BoostedTreesRegressor(RegressorMixin, _BoostedTrees):  # type: ignore[misc]
    """Predict numbers with LightGBM, XGBoost or CatBoost; see `BoostedTreesClassifier`."""

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit features, shape (n, k), to numbers, shape (n,), with weights, shape (n,), if given."""
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self._fit(_block(X), y, np.asarray(y, dtype=np.float64), weights, 0)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """A number for each row, shape (n,)."""
        return self.predict_block(self._checked(X))


def _threads(block: NDArray[np.float64]) -> int:
    import os

    from joblib import cpu_count

    if block.size < _PARALLEL_VALUES:
        return 1
    limit = os.environ.get("OMP_NUM_THREADS", "")  # joblib sets it in the processes of a search
    return min(int(cpu_count()), int(limit)) if limit.isdecimal() and int(limit) else int(cpu_count())


def _block(X: ArrayLike) -> NDArray[np.float64]:
    from sklearn.utils.validation import check_array

    block: NDArray[np.float64] = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan", order="C")
    return block


def _settings(params: dict[str, Any], title: str, reserved: tuple[str, ...]) -> tuple[dict[str, Any], int, float]:
    """Separate the library's parameters from the patience and the share of inner rows.

    Raises:
        UsageError: A value is invalid, or a parameter is set elsewhere.
    """
    patience = params.pop("early_stopping_rounds", None) or 0
    share = params.pop("validation_share", SHARE)
    trees = params.setdefault("n_estimators", TREES)
    if taken := sorted(params.keys() & set(reserved)):
        raise UsageError(
            f"model.params sets {taken[0]}, which this platform sets for {title}. Use n_estimators, "
            "early_stopping_rounds, validation_share, model.class_weight or seed instead."
        )
    for name, value in (("n_estimators", trees), ("early_stopping_rounds", patience)):
        if isinstance(value, bool) or not isinstance(value, int) or value < (name == "n_estimators"):
            raise UsageError(f"model.params.{name} is {value!r}, expected a whole number of 1 or more.")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 0.5:
        raise UsageError(f"model.params.validation_share is {share!r}, expected a share above 0 and up to 0.5.")
    return params, patience, float(share)
