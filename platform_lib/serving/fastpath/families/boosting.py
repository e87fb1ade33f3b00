"""Gradient boosting with histograms and with exact splits."""

from collections.abc import Callable
from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import EstimatorFamily, NotCovered, Numbers, PredictBlock, private
from platform_lib.serving.fastpath.families.linear import logistic, softmax
from platform_lib.serving.fastpath.families.trees import Forest, as_single, nodes_of

Raw = Callable[[Numbers], Numbers]
"""From a block to the sums of the trees, shape (n, outputs)."""


def _histogram_raw(fitted: Any) -> Raw:
    if private(fitted, "_preprocessor") is not None:
        raise NotCovered("it has categorical columns")
    outputs = fitted.n_trees_per_iteration_
    iterations = private(fitted, "_predictors")
    trees = [private(iteration[output], "nodes") for output in range(outputs) for iteration in iterations]
    start = np.asarray(private(fitted, "_baseline_prediction"), dtype=np.float64).reshape(1, -1)
    return _summed(trees, fitted.n_features_in_, start, outputs)


def _exact_raw(fitted: Any) -> Raw:
    width = fitted.n_features_in_
    if fitted.init_ != "zero" and type(fitted.init_).__module__ != "sklearn.dummy":
        raise NotCovered("its init is a custom model")
    outputs = fitted.estimators_.shape[1]
    trees = [
        nodes_of(tree.tree_, tree.tree_.value[:, 0, 0] * fitted.learning_rate)
        for output in range(outputs)
        for tree in fitted.estimators_[:, output]
    ]
    raw_predict_init = private(fitted, "_raw_predict_init")
    start = np.asarray(raw_predict_init(np.zeros((1, width), dtype=np.float32)), dtype=np.float64).reshape(1, -1)
    summed = _summed(trees, width, start, outputs)
    return lambda block: summed(as_single(block, allow_missing=False))


def _summed(trees: list[Any], width: int, start: Numbers, outputs: int) -> Raw:
    if not trees:
        raise NotCovered("it has no trees")
    forest = Forest(trees, width)

    def raw(block: Numbers) -> Numbers:
        values = forest.values(block).reshape(outputs, -1, len(block))
        sums: Numbers = start + values.sum(axis=1).T
        return sums

    return raw


def _require_log_loss(fitted: Any) -> None:
    loss = type(private(fitted, "_loss")).__name__
    if loss not in ("HalfBinomialLoss", "HalfMultinomialLoss"):
        raise NotCovered(f"its loss is {loss}")


def _classifier(raw: Raw, fitted: Any, *, threshold_included: bool) -> PredictBlock:
    """Predict classes from sums; `threshold_included`: whether a sum of exactly 0 is the second class."""
    classes = np.asarray(fitted.classes_)

    def predict_block(block: Numbers) -> Any:
        scores = raw(block)
        if scores.shape[1] > 1:
            return classes[scores.argmax(axis=1)], softmax(scores)
        single = scores[:, 0]
        is_second = single >= 0 if threshold_included else single > 0
        return classes[is_second.astype(np.intp)], logistic(single)

    return predict_block


def _histogram_classifier(fitted: Any) -> PredictBlock:
    _require_log_loss(fitted)
    return _classifier(_histogram_raw(fitted), fitted, threshold_included=False)


def _exact_classifier(fitted: Any) -> PredictBlock:
    _require_log_loss(fitted)
    return _classifier(_exact_raw(fitted), fitted, threshold_included=True)


def _histogram_regressor(fitted: Any) -> PredictBlock:
    raw, inverse = _histogram_raw(fitted), private(fitted, "_loss.link.inverse")
    return lambda block: (inverse(raw(block)[:, 0]), None)


def _exact_regressor(fitted: Any) -> PredictBlock:
    raw = _exact_raw(fitted)
    return lambda block: (raw(block)[:, 0], None)


_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
ESTIMATORS: EstimatorFamily = {
    f"{_HISTOGRAM}.HistGradientBoostingClassifier": _histogram_classifier,
    f"{_HISTOGRAM}.HistGradientBoostingRegressor": _histogram_regressor,
    "sklearn.ensemble._gb.GradientBoostingClassifier": _exact_classifier,
    "sklearn.ensemble._gb.GradientBoostingRegressor": _exact_regressor,
}
