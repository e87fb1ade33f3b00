"""Usual models of scikit-learn pass, and types that nobody reviewed are refused."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OrdinalEncoder,
    SplineTransformer,
    TargetEncoder,
)
from sklearn.svm import SVC

from platform_lib.errors import UntrustedModel
from platform_lib.model.trust import check_types
from tests.model.trust.model_files import FRAME, LABELS, features, saved


class Foreign(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, X: Any, y: Any = None) -> "Foreign":
        return self

    def transform(self, X: Any) -> Any:
        return X


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(features(), LogisticRegression()),
        make_pipeline(features(OrdinalEncoder()), RandomForestClassifier(3)),
        make_pipeline(features(TargetEncoder(cv=2)), HistGradientBoostingClassifier(max_iter=3)),
        make_pipeline(features(), FixedThresholdClassifier(LogisticRegression(), threshold=0.3)),
        make_pipeline(features(), TunedThresholdClassifierCV(LogisticRegression(), cv=2)),
        make_pipeline(features(), GradientBoostingClassifier(n_estimators=3)),
        make_pipeline(features(), CalibratedClassifierCV(RandomForestClassifier(3), cv=2, method="isotonic")),
        make_pipeline(features(), CalibratedClassifierCV(SVC(), cv=2)),
        make_pipeline(features(), KNeighborsClassifier(algorithm="kd_tree")),
        make_pipeline(features(), KNeighborsClassifier(algorithm="ball_tree", metric="canberra")),
        make_pipeline(features(), SVC(probability=False)),
        make_pipeline(features(), SGDClassifier(loss="modified_huber")),
        make_pipeline(features(), MLPClassifier(max_iter=5, early_stopping=False)),
        make_pipeline(features(), GaussianProcessClassifier(ConstantKernel() * RBF())),
        make_pipeline(features(), SelectKBest(f_classif, k=2), LogisticRegression()),
        make_pipeline(features(), FunctionTransformer(np.nan_to_num), SplineTransformer(), LogisticRegression()),
        make_pipeline(features(), FunctionTransformer(np.sign), LogisticRegression()),
        make_pipeline(
            features(), StackingClassifier([("a", RandomForestClassifier(3)), ("b", LogisticRegression())], cv=2)
        ),
        make_pipeline(features(), VotingClassifier([("a", RandomForestClassifier(3)), ("b", LogisticRegression())])),
        make_pipeline(features(), GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring="f1_macro", cv=2)),
    ],
    ids=lambda model: "-".join(name for name, _ in model.steps[1:]),
)
@pytest.mark.filterwarnings("ignore")
def test_common_classifiers_pass_and_predict_as_before(model: Pipeline, path: Path) -> None:
    model.fit(FRAME, LABELS)
    loaded = skops.io.load(saved(path, model), trusted=check_types(path, package=None))
    assert loaded.predict(FRAME).tolist() == model.predict(FRAME).tolist()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma", "quantile"])
def test_losses_of_histogram_boosting_pass(loss: str, path: Path) -> None:
    model = HistGradientBoostingRegressor(loss=loss, max_iter=3, quantile=0.5 if loss == "quantile" else None).fit(
        FRAME[["age"]], np.arange(1.0, 61)
    )
    skops.io.load(saved(path, model), trusted=check_types(path, package=None))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_losses_of_gradient_boosting_pass(loss: str, path: Path) -> None:
    model = GradientBoostingRegressor(loss=loss, n_estimators=3).fit(FRAME[["age"]], np.arange(1.0, 61))
    skops.io.load(saved(path, model), trusted=check_types(path, package=None))


def test_categories_of_histogram_boosting_pass(path: Path) -> None:
    frame = FRAME.astype({"town": "category"})
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype").fit(frame, LABELS)
    skops.io.load(saved(path, model), trusted=check_types(path, package=None))


def test_only_the_types_in_the_file_are_trusted(path: Path) -> None:
    model = make_pipeline(features(), RandomForestClassifier(3)).fit(FRAME, LABELS)
    assert check_types(saved(path, model), package=None) == [
        "numpy.dtype",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.tree._tree.Tree",
    ]


def test_a_foreign_type_is_named_with_the_setting(path: Path) -> None:
    saved(path, make_pipeline(Foreign(), Ridge()))
    with pytest.raises(
        UntrustedModel,
        match=r"holds the type tests\.model\.trust\.test_reviewed_types\.Foreign, .* trusted_types in \[tool\.mlp\] "
        r"of pyproject\.toml",
    ):
        check_types(path, package=None)


def test_the_projects_setting_trusts_a_type(path: Path) -> None:
    saved(path, make_pipeline(Foreign(), Ridge()))
    trusted = check_types(path, package=None, trusted_types=("tests.model.trust.test_reviewed_types.Foreign",))
    assert isinstance(skops.io.load(path, trusted=trusted)[0], Foreign)


@pytest.mark.parametrize("function", [os.system, eval, skops.io.load, np.load, np.save], ids=lambda f: f.__name__)
def test_a_function_with_side_effects_is_refused(function: Callable[..., Any], path: Path) -> None:
    saved(path, make_pipeline(FunctionTransformer(function), Ridge()))
    with pytest.raises(UntrustedModel, match="not on a list of trusted types"):
        check_types(path, package=None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_scikit_learn_estimator_that_skops_can_store_passes(path: Path) -> None:
    from sklearn.utils import all_estimators

    X, y = (
        FRAME[["age"]].assign(other=np.abs(np.arange(60) - 30.5)).to_numpy(),
        (FRAME["age"] > 0).to_numpy().astype(int),
    )
    refused, passed = [], 0
    for name, estimator_class in all_estimators():
        try:
            model = (
                estimator_class()
                .set_params(**{p: 5 for p in ("n_estimators", "max_iter") if p in estimator_class().get_params()})
                .fit(np.abs(X), y)
            )
            skops.io.dump(model, path)
        except Exception:
            continue  # needs arguments or other data, or is not supported by skops
        try:
            check_types(path, package=None)
            passed += 1
        except UntrustedModel as err:
            refused.append(f"{name}: {err}")
    assert refused == []
    assert passed > 120
