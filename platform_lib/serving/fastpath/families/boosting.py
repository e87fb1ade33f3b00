"""Gradient boosting, by histograms and by exact splits."""

from collections.abc import Callable
from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import Answer, EstimatorFamily, NotCovered, Numbers
from platform_lib.serving.fastpath.families.linear import logistic, softmax
from platform_lib.serving.fastpath.families.trees import Forest, as_single, nodes_of

Raw = Callable[[Numbers], Numbers]
"""Sums of the trees, shape (n, outputs)."""


def _histogram_raw(fitted: Any) -> Raw:
    if getattr(fitted, "_preprocessor", None) is not None:
        raise NotCovered("it has columns of categories")
    outputs = fitted.n_trees_per_iteration_
    trees = [iteration[output].nodes for output in range(outputs) for iteration in fitted._predictors]
    return _summed(
        trees, fitted.n_features_in_, np.asarray(fitted._baseline_prediction, dtype=np.float64).reshape(1, -1), outputs
    )


def _exact_raw(fitted: Any) -> Raw:
    width = fitted.n_features_in_
    if fitted.init_ != "zero" and type(fitted.init_).__module__ != "sklearn.dummy":
        raise NotCovered("it starts from a model of the user's")
    outputs = fitted.estimators_.shape[1]
    trees = [
        nodes_of(tree.tree_, tree.tree_.value[:, 0, 0] * fitted.learning_rate)
        for output in range(outputs)
        for tree in fitted.estimators_[:, output]
    ]
    start = np.asarray(fitted._raw_predict_init(np.zeros((1, width), dtype=np.float32)), dtype=np.float64).reshape(
        1, -1
    )
    summed = _summed(trees, width, start, outputs)
    return lambda block: summed(as_single(block, gaps=False))


def _summed(trees: list[Any], width: int, start: Numbers, outputs: int) -> Raw:
    if not trees:
        raise NotCovered("it has no trees")
    forest = Forest(trees, width)

    def raw(block: Numbers) -> Numbers:
        values = forest.values(block).reshape(outputs, -1, len(block))
        sums: Numbers = start + values.sum(axis=1).T
        return sums

    return raw


def _classifier(raw: Raw, fitted: Any, threshold_included: bool) -> Answer:
    if type(fitted._loss).__name__ not in ("HalfBinomialLoss", "HalfMultinomialLoss"):
        raise NotCovered(f"its loss is {type(fitted._loss).__name__}")
    classes = np.asarray(fitted.classes_)

    def answer(block: Numbers) -> Any:
        scores = raw(block)
        if scores.shape[1] > 1:
            return classes[scores.argmax(axis=1)], softmax(scores)
        single = scores[:, 0]
        is_second = single >= 0 if threshold_included else single > 0
        return classes[is_second.astype(np.intp)], logistic(single)

    return answer


def _histogram_classifier(fitted: Any) -> Answer:
    return _classifier(_histogram_raw(fitted), fitted, threshold_included=False)


def _exact_classifier(fitted: Any) -> Answer:
    return _classifier(_exact_raw(fitted), fitted, threshold_included=True)


def _histogram_regressor(fitted: Any) -> Answer:
    raw, inverse = _histogram_raw(fitted), fitted._loss.link.inverse
    return lambda block: (inverse(raw(block)[:, 0]), None)


def _exact_regressor(fitted: Any) -> Answer:
    raw = _exact_raw(fitted)
    return lambda block: (raw(block)[:, 0], None)


_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
ESTIMATORS: EstimatorFamily = {
    f"{_HISTOGRAM}.HistGradientBoostingClassifier": _histogram_classifier,
    f"{_HISTOGRAM}.HistGradientBoostingRegressor": _histogram_regressor,
    "sklearn.ensemble._gb.GradientBoostingClassifier": _exact_classifier,
    "sklearn.ensemble._gb.GradientBoostingRegressor": _exact_regressor,
}
