"""Nearest neighbours where a tree of the training rows was built; comparing with each of them is scikit-learn's own best."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import Answer, EstimatorFamily, NotCovered, Numbers, finite


def _nearest(fitted: Any) -> Any:
    if fitted._fit_method not in ("kd_tree", "ball_tree"):
        raise NotCovered(f"it finds neighbours by {fitted._fit_method}")
    if fitted.weights not in ("uniform", "distance"):
        raise NotCovered("its weights are the user's")
    tree, count, by_distance = fitted._tree, fitted.n_neighbors, fitted.weights == "distance"

    def nearest(block: Numbers) -> tuple[Any, Any]:
        distances, rows = tree.query(np.ascontiguousarray(finite(block)), k=count)
        if not by_distance:
            return rows, np.ones(rows.shape)
        with np.errstate(divide="ignore"):
            weights = 1.0 / distances
        exact = np.isinf(weights)
        return rows, np.where(exact.any(axis=1, keepdims=True), exact.astype(np.float64), weights)

    return nearest


def _classifier(fitted: Any) -> Answer:
    if fitted.outputs_2d_:
        raise NotCovered("it has several targets")
    nearest, classes, truth = _nearest(fitted), np.asarray(fitted.classes_), np.asarray(fitted._y)

    def answer(block: Numbers) -> Any:
        rows, weights = nearest(block)
        sums = np.zeros((len(block), len(classes)))
        labels, all_rows = truth[rows], np.arange(len(block))
        for place in range(rows.shape[1]):
            sums[all_rows, labels[:, place]] += weights[:, place]
        total = sums.sum(axis=1, keepdims=True)
        if not total.all():
            raise ValueError("all neighbours of a row are infinitely far")
        return classes[sums.argmax(axis=1)], sums / total

    return answer


def _regressor(fitted: Any) -> Answer:
    if np.ndim(fitted._y) != 1:
        raise NotCovered("it has several targets")
    nearest, truth = _nearest(fitted), np.asarray(fitted._y, dtype=np.float64)

    def answer(block: Numbers) -> Any:
        rows, weights = nearest(block)
        return (truth[rows] * weights).sum(axis=1) / weights.sum(axis=1), None

    return answer


ESTIMATORS: EstimatorFamily = {
    "sklearn.neighbors._classification.KNeighborsClassifier": _classifier,
    "sklearn.neighbors._regression.KNeighborsRegressor": _regressor,
}
