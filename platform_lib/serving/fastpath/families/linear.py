"""Linear regression and classification."""

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


def _scores(fitted: Any) -> tuple[Any, Any]:
    coefficients = np.ascontiguousarray(np.atleast_2d(np.asarray(fitted.coef_, dtype=np.float64)).T)
    return coefficients, np.asarray(fitted.intercept_, dtype=np.float64)


def _regression(fitted: Any) -> PredictBlock:
    if np.ndim(fitted.coef_) > 1 and np.shape(fitted.coef_)[0] != 1:
        raise NotCovered("it has several targets")
    coefficients, intercept = np.asarray(fitted.coef_, dtype=np.float64).ravel(), float(np.ravel(fitted.intercept_)[0])
    return lambda block: (require_finite(block) @ coefficients + intercept, None)


def _exponential(fitted: Any) -> PredictBlock:
    if type(private(fitted, "_base_loss.link")).__name__ != "LogLink":
        raise NotCovered("its link is not the logarithm")
    linear = _regression(fitted)
    return lambda block: (np.exp(linear(block)[0]), None)


def _classes(fitted: Any) -> PredictBlock:
    """Predict classes without probabilities."""
    coefficients, intercept = _scores(fitted)
    classes = np.asarray(fitted.classes_)

    def predict_block(block: Numbers) -> Any:
        scores = require_finite(block) @ coefficients + intercept
        return classes[_best(scores)], None

    return predict_block


def _logistic(fitted: Any) -> PredictBlock:
    coefficients, intercept = _scores(fitted)
    classes = np.asarray(fitted.classes_)

    def predict_block(block: Numbers) -> Any:
        scores = require_finite(block) @ coefficients + intercept
        return classes[_best(scores)], logistic(scores[:, 0]) if scores.shape[1] == 1 else softmax(scores)

    return predict_block


def _best(scores: Numbers) -> Any:
    return (scores[:, 0] > 0).astype(np.intp) if scores.shape[1] == 1 else scores.argmax(axis=1)


def logistic(scores: Numbers) -> Numbers:
    """Return the probabilities of two classes, shape (n, 2), from n scores of the second."""
    from scipy.special import expit

    out = np.empty((len(scores), 2))
    expit(scores, out=out[:, 1])
    np.subtract(1.0, out[:, 1], out=out[:, 0])
    return out


def softmax(scores: Numbers) -> Numbers:
    """Return the probabilities of k classes, shape (n, k), from scores of shape (n, k)."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Numbers = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


_MODULE = "sklearn.linear_model"
_REGRESSIONS = [
    *(
        "_base.LinearRegression",
        "_ridge.Ridge",
        "_ridge.RidgeCV",
        "_huber.HuberRegressor",
        "_bayes.BayesianRidge",
        "_bayes.ARDRegression",
    ),
    *(f"_coordinate_descent.{name}" for name in ("Lasso", "LassoCV", "ElasticNet", "ElasticNetCV")),
    *(
        "_stochastic_gradient.SGDRegressor",
        "_quantile.QuantileRegressor",
        "_least_angle.Lars",
        "_least_angle.LassoLars",
    ),
]
_CLASSES = ["_ridge.RidgeClassifier", "_ridge.RidgeClassifierCV", "_perceptron.Perceptron"]

ESTIMATORS: EstimatorFamily = {
    **{f"{_MODULE}.{name}": _regression for name in _REGRESSIONS},
    **{
        f"{_MODULE}._glm.glm.{name}": _exponential
        for name in ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")
    },
    **{f"{_MODULE}.{name}": _classes for name in _CLASSES},
    "sklearn.svm._classes.LinearSVR": _regression,
    "sklearn.svm._classes.LinearSVC": _classes,
    f"{_MODULE}._logistic.LogisticRegression": _logistic,
    f"{_MODULE}._logistic.LogisticRegressionCV": _logistic,
}
