"""Decision trees and forests of `sklearn.tree` and `sklearn.ensemble`."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import EstimatorFamily, NotCovered, Numbers, PredictBlock
from platform_lib.serving.fastpath.families.trees import Forest, as_single, nodes_of


def _members(fitted: Any) -> list[Any]:
    if getattr(fitted, "n_outputs_", 1) != 1:
        raise NotCovered("it has several targets")
    return list(getattr(fitted, "estimators_", [fitted]))


def _allows_missing(member: Any) -> bool:
    return bool(member.__sklearn_tags__().input_tags.allow_nan)


def _regressor(fitted: Any) -> PredictBlock:
    members = _members(fitted)
    forest = Forest([nodes_of(member.tree_, member.tree_.value[:, 0, 0]) for member in members], fitted.n_features_in_)
    allow_missing, count = _allows_missing(members[0]), len(members)
    return lambda block: (forest.values(as_single(block, allow_missing=allow_missing)).sum(axis=0) / count, None)


def _classifier(fitted: Any) -> PredictBlock:
    members = _members(fitted)
    classes = np.asarray(fitted.classes_)
    # Each leaf's value is its row in the table of all leaves' probabilities.
    leaf_probabilities = np.concatenate([member.tree_.value[:, 0, :] for member in members])
    starts = np.concatenate(([0], np.cumsum([member.tree_.node_count for member in members])[:-1]))
    trees = [
        nodes_of(member.tree_, start + np.arange(member.tree_.node_count, dtype=np.float64))
        for start, member in zip(starts, members, strict=True)
    ]
    forest = Forest(trees, fitted.n_features_in_)
    allow_missing, count = _allows_missing(members[0]), len(members)

    def predict_block(block: Numbers) -> Any:
        leaves = forest.values(as_single(block, allow_missing=allow_missing)).astype(np.intp)
        probabilities = leaf_probabilities[leaves].sum(axis=0) / count
        return classes[probabilities.argmax(axis=1)], probabilities

    return predict_block


ESTIMATORS: EstimatorFamily = {
    "sklearn.tree._classes.DecisionTreeClassifier": _classifier,
    "sklearn.tree._classes.DecisionTreeRegressor": _regressor,
    "sklearn.tree._classes.ExtraTreeClassifier": _classifier,
    "sklearn.tree._classes.ExtraTreeRegressor": _regressor,
    "sklearn.ensemble._forest.RandomForestClassifier": _classifier,
    "sklearn.ensemble._forest.RandomForestRegressor": _regressor,
    "sklearn.ensemble._forest.ExtraTreesClassifier": _classifier,
    "sklearn.ensemble._forest.ExtraTreesRegressor": _regressor,
}
