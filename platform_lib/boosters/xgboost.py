"""Fit and predict with XGBoost. A model is stored as UBJSON, which XGBoost's own parser reads."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.boosters.problem import Fitted, Predict, Problem, fewest_trees
from platform_lib.errors import UsageError


def fit(problem: Problem) -> Fitted:
    """Fit with XGBoost.

    Raises:
        UsageError: XGBoost does not know a parameter.
    """
    import xgboost

    inner = problem.inner
    settings: dict[str, Any] = {
        "random_state": problem.seed,
        "n_jobs": problem.threads,
        "early_stopping_rounds": None if inner is None else problem.patience,
        "enable_categorical": True,
        "feature_types": _types(problem.rows.block.shape[1], problem.categorical),
        **problem.params,
    }
    kind = xgboost.XGBClassifier if problem.classes else xgboost.XGBRegressor
    estimator = kind(**settings)
    early: dict[str, Any] = {}
    if inner is not None:
        early = {
            "eval_set": [(inner.block, inner.target)],
            "sample_weight_eval_set": None if inner.weights is None else [inner.weights],
        }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(
            problem.rows.block, problem.rows.target, sample_weight=problem.rows.weights, verbose=False, **early
        )
    for warning in caught:
        if "are not used" in str(warning.message):
            unused = " ".join(str(warning.message).split("Parameters:")[-1].split())
            raise UsageError(f"XGBoost has no use for the parameters {unused} Correct them in conf/model.")
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    booster = estimator.get_booster()
    if inner is None:
        return Fitted(bytes(booster.save_raw("ubj")), int(booster.num_boosted_rounds()))
    losses = next(iter(next(iter(estimator.evals_result().values())).values()))
    is_loss = "eval_metric" not in problem.params
    return Fitted(b"", fewest_trees(losses, problem.classes) if is_loss else int(estimator.best_iteration) + 1)


def predictor(model: bytes, classes: int, categorical: tuple[int, ...]) -> Predict:
    """The predictions of a stored model, with one thread."""
    del categorical  # they are part of the model
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(model))
    booster.set_param({"nthread": 1})

    def predict(block: NDArray[np.float64]) -> NDArray[np.float64]:
        raw = np.asarray(booster.inplace_predict(block), dtype=np.float64)
        if classes == 2:
            return np.column_stack([1 - raw, raw])
        # XGBoost computes with 32 bits, whose rounding shows in the sum.
        return raw / raw.sum(axis=1, keepdims=True) if classes else raw

    return predict


def _types(columns: int, categorical: tuple[int, ...]) -> list[str]:
    return ["c" if place in categorical else "q" for place in range(columns)]
