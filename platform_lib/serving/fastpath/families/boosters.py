"""LightGBM, XGBoost and CatBoost: one call of the library's own predictor with an array."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import EstimatorFamily, Numbers, PredictBlock, require_no_infinity


def _classifier(fitted: Any) -> PredictBlock:
    classes = np.asarray(fitted.classes_)
    fitted.predict_block(np.zeros((1, fitted.n_features_in_)))  # loads the library before the first request

    def predict_block(block: Numbers) -> Any:
        probabilities = fitted.predict_block(np.ascontiguousarray(require_no_infinity(block)))
        return classes[probabilities.argmax(axis=1)], probabilities

    return predict_block


def _regressor(fitted: Any) -> PredictBlock:
    fitted.predict_block(np.zeros((1, fitted.n_features_in_)))
    return lambda block: (fitted.predict_block(np.ascontiguousarray(require_no_infinity(block))), None)


ESTIMATORS: EstimatorFamily = {
    "platform_lib.boosters.estimators.BoostedTreesClassifier": _classifier,
    "platform_lib.boosters.estimators.BoostedTreesRegressor": _regressor,
}
