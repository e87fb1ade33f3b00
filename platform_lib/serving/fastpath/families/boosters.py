"""LightGBM, XGBoost and CatBoost: one call of the library's own predictor with an array."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import EstimatorFamily, Numbers, PredictBlock, require_no_infinity
from platform_lib.serving.light_imports import imports_blocked


def _loaded(fitted: Any) -> Any:
    """The estimator, with its library loaded before the first request."""
    if fitted.library == "lightgbm":
        # It imports them only to recognise data frames, and costs 63 MiB less without.
        with imports_blocked("pandas", "pyarrow"):
            import lightgbm  # noqa: F401
    fitted.predict_block(np.zeros((1, fitted.n_features_in_)))
    return fitted


def _classifier(fitted: Any) -> PredictBlock:
    classes = np.asarray(fitted.classes_)
    predict = _loaded(fitted).predict_block

    def predict_block(block: Numbers) -> Any:
        probabilities = predict(np.ascontiguousarray(require_no_infinity(block)))
        return classes[probabilities.argmax(axis=1)], probabilities

    return predict_block


def _regressor(fitted: Any) -> PredictBlock:
    predict = _loaded(fitted).predict_block
    return lambda block: (predict(np.ascontiguousarray(require_no_infinity(block))), None)


ESTIMATORS: EstimatorFamily = {
    "platform_lib.boosters.estimators.BoostedTreesClassifier": _classifier,
    "platform_lib.boosters.estimators.BoostedTreesRegressor": _regressor,
}
