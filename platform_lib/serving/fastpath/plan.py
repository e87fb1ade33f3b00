"""Build the fast path of a whole fitted pipeline, from checked columns to predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_lib.data.contract import DataContract
from platform_lib.model.artifact import Predictions
from platform_lib.serving.fastpath.blocks import (
    EstimatorFamily,
    NotCovered,
    Numbers,
    PredictBlock,
    Table,
    Transform,
    class_path,
    number_positions,
)
from platform_lib.serving.fastpath.composition import Composer
from platform_lib.serving.fastpath.families import boosters, boosting, forests, linear, neighbours
from platform_lib.serving.fastpath.families.thresholds import THRESHOLDED, thresholded

_FAMILIES: EstimatorFamily = {
    name: make
    for family in (linear, forests, boosting, boosters, neighbours)
    for name, make in family.ESTIMATORS.items()
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FastPath:
    """The fast path of one version. It keeps no state between calls, so any thread may use it."""

    contract: DataContract
    transforms: tuple[Transform, ...]
    predict_block: PredictBlock
    classes: tuple[Any, ...]
    by_scikit_learn: tuple[str, ...]
    """Names of the steps that scikit-learn or the user's code runs, outer names first: `features/user`."""
    positions: Mapping[str, int]

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> Predictions:
        """Predict n rows.

        Args:
            columns: n checked values per feature, as received.
        Raises:
            ValueError: The pipeline refuses these rows too.
        """
        block: Any = Table(columns, self.contract, self.positions)
        for transform in self.transforms:
            block = transform(block)
        values, probabilities = self.predict_block(block)
        return Predictions(
            values if self.classes else np.asarray(values, dtype=np.float64), probabilities, self.classes
        )


def plan(pipeline: Any, contract: DataContract) -> FastPath:
    """Build the fast path of a pipeline.

    Args:
        pipeline: A fitted scikit-learn Pipeline.
        contract: The data contract that it was fitted with.
    Raises:
        NotCovered: No step would be faster; the message says why.
    """
    composer = Composer(contract)
    steps = list(pipeline.steps)
    if class_path(pipeline) != "sklearn.pipeline.Pipeline" or not steps:
        raise NotCovered("it is not a scikit-learn Pipeline")
    transforms: list[Transform] = []
    if len(steps) == 1:
        select, kind = composer.select(contract.features)
        transforms.append(select)
    else:
        step = composer.first(steps[0][1], steps[0][0])
        transforms.append(step.transform)
        for name, fitted in steps[1:-1]:
            step = composer.step(fitted, step.kind, name)
            transforms.append(step.transform)
        kind = step.kind
    if kind != "numbers":
        raise NotCovered(f"the input of its last step is {kind}")
    name, estimator = steps[-1]
    try:
        predict_block = _covered(estimator)
        composer.covered.append(name)
    except NotCovered:
        if hasattr(estimator, "feature_names_in_"):
            raise
        composer.by_scikit_learn.append(name)
        predict_block = _by_scikit_learn(estimator)
    if not composer.covered:
        raise NotCovered("no family covers any of its steps")
    classes = tuple(estimator.classes_.tolist()) if hasattr(estimator, "classes_") else ()
    return FastPath(
        contract=contract,
        transforms=tuple(transforms),
        predict_block=predict_block,
        classes=classes,
        by_scikit_learn=tuple(composer.by_scikit_learn),
        positions=number_positions(contract),
    )


def _covered(estimator: Any) -> PredictBlock:
    path = class_path(estimator)
    if path in THRESHOLDED:
        return thresholded(estimator, _covered_or_by_scikit_learn)
    if path not in _FAMILIES:
        raise NotCovered(f"no family covers {path}")
    return _FAMILIES[path](estimator)


def _covered_or_by_scikit_learn(estimator: Any) -> PredictBlock:
    try:
        return _covered(estimator)
    except NotCovered:
        return _by_scikit_learn(estimator)


def _by_scikit_learn(estimator: Any) -> PredictBlock:
    """scikit-learn's own predictions, from an array."""
    has_probabilities = hasattr(estimator, "classes_") and hasattr(estimator, "predict_proba")

    def predict_block(block: Numbers) -> Any:
        values = np.asarray(estimator.predict(block))
        return values, np.asarray(estimator.predict_proba(block), dtype=np.float64) if has_probabilities else None

    return predict_block
