"""Nearest neighbours that search a tree of the training rows.

Brute-force search is left to scikit-learn, which is as fast as it can be.
"""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import (
    EstimatorFamily,
    NotCovered,
    Numbers,
    PredictBlock,
    private,
    require_finite,
)


def _nearest(fitted: Any) -> Any:
    method = private(fitted, "_fit_method")
    if method not in ("kd_tree", "ball_tree"):
        raise NotCovered(f"it finds neighbours by {method}")
    if fitted.weights not in ("uniform", "distance"):
        raise NotCovered("its weights are a function")
    tree, count, by_distance = private(fitted, "_tree"), fitted.n_neighbors, fitted.weights == "distance"

    def nearest(block: Numbers) -> tuple[Any, Any]:
        distances, rows = tree.query(np.ascontiguousarray(require_finite(block)), k=count)
        if not by_distance:
            return rows, np.ones(rows.shape)
        with np.errstate(divide="ignore"):
            weights = 1.0 / distances
        exact = np.isinf(weights)
        return rows, np.where(exact.any(axis=1, keepdims=True), exact.astype(np.float64), weights)

    return nearest


def _classifier(fitted: Any) -> PredictBlock:
    if fitted.outputs_2d_:
        raise NotCovered("it has several targets")
    nearest, classes, truth = _nearest(fitted), np.asarray(fitted.classes_), np.asarray(private(fitted, "_y"))

    def predict_block(block: Numbers) -> Any:
        rows, weights = nearest(block)
        sums = np.zeros((len(block), len(classes)))
        labels, all_rows = truth[rows], np.arange(len(block))
        for position in range(rows.shape[1]):
            sums[all_rows, labels[:, position]] += weights[:, position]
        total = sums.sum(axis=1, keepdims=True)
        if not total.all():
            raise ValueError("all neighbours of a row are infinitely far")
        return classes[sums.argmax(axis=1)], sums / total

    return predict_block


def _regressor(fitted: Any) -> PredictBlock:
    truth = np.asarray(private(fitted, "_y"), dtype=np.float64)
    if truth.ndim != 1:
        raise NotCovered("it has several targets")
    nearest = _nearest(fitted)

    def predict_block(block: Numbers) -> Any:
        rows, weights = nearest(block)
        return (truth[rows] * weights).sum(axis=1) / weights.sum(axis=1), None

    return predict_block


ESTIMATORS: EstimatorFamily = {
    "sklearn.neighbors._classification.KNeighborsClassifier": _classifier,
    "sklearn.neighbors._regression.KNeighborsRegressor": _regressor,
}
