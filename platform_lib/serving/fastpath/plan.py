"""A whole fitted pipeline, fast: from checked columns to answers. `parity` says whether it may be used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_lib.data.contract import DataContract
from platform_lib.model.artifact import Predictions
from platform_lib.serving.fastpath.blocks import (
    Answer,
    EstimatorFamily,
    NotCovered,
    Numbers,
    Run,
    Table,
    class_path,
    number_places,
)
from platform_lib.serving.fastpath.composition import Composer
from platform_lib.serving.fastpath.families import boosting, forests, linear, neighbours
from platform_lib.serving.fastpath.families.thresholds import THRESHOLDED, thresholded

_FAMILIES: EstimatorFamily = {
    name: make for family in (linear, forests, boosting, neighbours) for name, make in family.ESTIMATORS.items()
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FastPath:
    """One version's pipeline. Holds no state of its own: many threads may ask at once."""

    contract: DataContract
    runs: tuple[Run, ...]
    answer: Answer
    classes: tuple[Any, ...]
    ordinary: tuple[str, ...]
    """Names of the steps that scikit-learn or the user's code does, outer ones first: `features/user`."""
    places: Mapping[str, int]

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> Predictions:
        """Answer n rows.

        Args:
            columns: n checked values a feature, as they came.
        Raises:
            ValueError: The pipeline would refuse them too.
        """
        block: Any = Table(columns, self.contract, self.places)
        for run in self.runs:
            block = run(block)
        values, probabilities = self.answer(block)
        return Predictions(
            values if self.classes else np.asarray(values, dtype=np.float64), probabilities, self.classes
        )


def plan(pipeline: Any, contract: DataContract) -> FastPath:
    """Put the fast pipeline together.

    Args:
        pipeline: A fitted scikit-learn Pipeline.
    Raises:
        NotCovered: There is nothing that would be faster; says why.
    """
    composer = Composer(contract)
    steps = list(pipeline.steps)
    if class_path(pipeline) != "sklearn.pipeline.Pipeline" or not steps:
        raise NotCovered("it is no scikit-learn Pipeline")
    runs: list[Run] = []
    if len(steps) == 1:
        select, kind = composer.select(contract.features)
        runs.append(select)
    else:
        step = composer.first(steps[0][1], steps[0][0])
        runs.append(step.run)
        for name, fitted in steps[1:-1]:
            step = composer.step(fitted, step.kind, name)
            runs.append(step.run)
        kind = step.kind
    if kind != "numbers":
        raise NotCovered(f"its last step is given {kind}")
    name, estimator = steps[-1]
    try:
        answer = _covered(estimator)
        composer.covered.append(name)
    except NotCovered:
        if hasattr(estimator, "feature_names_in_"):
            raise
        composer.ordinary.append(name)
        answer = _ordinary(estimator)
    if not composer.covered:
        raise NotCovered("no family covers a step of it")
    classes = tuple(estimator.classes_.tolist()) if hasattr(estimator, "classes_") else ()
    return FastPath(
        contract=contract,
        runs=tuple(runs),
        answer=answer,
        classes=classes,
        ordinary=tuple(composer.ordinary),
        places=number_places(contract),
    )


def _covered(estimator: Any) -> Answer:
    path = class_path(estimator)
    if path in THRESHOLDED:
        return thresholded(estimator, _covered_or_ordinary)
    if path not in _FAMILIES:
        raise NotCovered(f"no family covers {path}")
    return _FAMILIES[path](estimator)


def _covered_or_ordinary(estimator: Any) -> Answer:
    try:
        return _covered(estimator)
    except NotCovered:
        return _ordinary(estimator)


def _ordinary(estimator: Any) -> Answer:
    """scikit-learn's own, on an array."""
    has_probabilities = hasattr(estimator, "classes_") and hasattr(estimator, "predict_proba")

    def answer(block: Numbers) -> Any:
        values = np.asarray(estimator.predict(block))
        return values, np.asarray(estimator.predict_proba(block), dtype=np.float64) if has_probabilities else None

    return answer
