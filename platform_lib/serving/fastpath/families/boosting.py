"""Gradient boosting with histograms and with exact splits."""

from collections.abc import Callable
from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import EstimatorFamily, NotCovered, Numbers, PredictBlock, private
from platform_lib.serving.fastpath.families.linear import logistic, softmax
from platform_lib.serving.fastpath.families.trees import CategorySplits, Forest, as_single, nodes_of

Raw = Callable[[Numbers], Numbers]
"""From a block to the sums of the trees, shape (n, outputs)."""


def _histogram_raw(fitted: Any) -> Raw:
    preprocessor = private(fitted, "_preprocessor")
    outputs = fitted.n_trees_per_iteration_
    iterations = private(fitted, "_predictors")
    predictors = [iteration[output] for output in range(outputs) for iteration in iterations]
    trees = [private(predictor, "nodes") for predictor in predictors]
    start = np.asarray(private(fitted, "_baseline_prediction"), dtype=np.float64).reshape(1, -1)
    if preprocessor is None:
        return _summed(trees, fitted.n_features_in_, start, outputs)
    known, rows = private(fitted, "_bin_mapper.make_known_categories_bitsets")()
    left = [private(predictor, "raw_left_cat_bitsets") for predictor in predictors]
    summed = _summed(trees, fitted.n_features_in_, start, outputs, CategorySplits(left=left, known=known, rows=rows))
    encode = _codes(fitted, preprocessor)
    return lambda block: summed(encode(block))


def _codes(fitted: Any, preprocessor: Any) -> Raw:
    """What the booster does with its columns: codes first, in the order of their categories, then the numbers."""
    is_categorical = np.asarray(fitted.is_categorical_, dtype=bool)
    order = np.concatenate((np.flatnonzero(is_categorical), np.flatnonzero(~is_categorical)))
    count = int(is_categorical.sum())
    categories = []
    for values in preprocessor.named_transformers_["encoder"].categories_:
        if values.dtype != np.float64:
            raise NotCovered("its categories are not numbers")
        categories.append(values[~np.isnan(values)])
    sizes = np.array([len(values) for values in categories])
    if all(np.array_equal(values, np.arange(len(values))) for values in categories):

        def encode(block: Numbers) -> Numbers:
            arranged = block[:, order]
            codes = arranged[:, :count]
            codes[~((codes >= 0) & (codes < sizes) & (codes == np.floor(codes)))] = np.nan
            return arranged

        return encode

    def look_up(block: Numbers) -> Numbers:
        arranged = block[:, order]
        for position, values in enumerate(categories):
            column = arranged[:, position]
            places = np.searchsorted(values, column)
            is_known = np.append(values, np.nan)[places] == column
            arranged[:, position] = np.where(is_known, places, np.nan)
        return arranged

    return look_up


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


def _summed(trees: list[Any], width: int, start: Numbers, outputs: int, splits: CategorySplits | None = None) -> Raw:
    if not trees:
        raise NotCovered("it has no trees")
    forest = Forest(trees, width, splits)

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
