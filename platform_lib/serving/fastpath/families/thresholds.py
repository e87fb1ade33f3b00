"""Classifiers with a threshold on one class's probability."""

from collections.abc import Callable
from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import NotCovered, Numbers, PredictBlock

THRESHOLDED = frozenset(
    f"sklearn.model_selection._classification_threshold.{name}ClassifierCV" for name in ("TunedThreshold",)
) | {"sklearn.model_selection._classification_threshold.FixedThresholdClassifier"}


def thresholded(fitted: Any, inner: Callable[[Any], PredictBlock]) -> PredictBlock:
    """Build the predictions of a classifier with a threshold.

    Args:
        fitted: A fitted FixedThresholdClassifier or TunedThresholdClassifierCV.
        inner: Builds the predictions of the classifier in it.
    Raises:
        NotCovered: The threshold is not on the probability of one of two classes.
    """
    threshold = getattr(fitted, "best_threshold_", getattr(fitted, "threshold", None))
    method = getattr(fitted, "response_method", "predict_proba")
    classes = np.asarray(fitted.classes_)
    if not isinstance(threshold, int | float) or method != "predict_proba" or len(classes) != 2:
        raise NotCovered("its threshold is not on the probability of one of two classes")
    predict_inner = inner(fitted.estimator_)
    label = classes[1] if getattr(fitted, "pos_label", None) is None else fitted.pos_label
    positive = int(np.flatnonzero(classes == label)[0])

    def decide(block: Numbers) -> Any:
        _, probabilities = predict_inner(block)
        assert probabilities is not None
        is_positive = probabilities[:, positive] >= threshold
        return classes[np.where(is_positive, positive, 1 - positive)], probabilities

    return decide
