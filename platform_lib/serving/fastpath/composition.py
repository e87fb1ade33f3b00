"""Build the transformers of a pipeline: chains, column transformers and unions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from platform_lib.data.contract import DataContract
from platform_lib.serving.fastpath.blocks import (
    Kind,
    NotCovered,
    Step,
    Transform,
    TransformerFamily,
    class_path,
    number_positions,
)
from platform_lib.serving.fastpath.families import (
    dates,
    discretisers,
    encoders,
    feature_selection,
    hashes,
    imputers,
    polynomials,
    scalers,
)

_FAMILIES: TransformerFamily = {
    name: make
    for family in (scalers, imputers, encoders, discretisers, polynomials, feature_selection, dates, hashes)
    for name, make in family.TRANSFORMERS.items()
}
_KINDS: Mapping[str, Kind] = {
    "integer": "numbers",
    "number": "numbers",
    "boolean": "numbers",
    "string": "texts",
    "datetime": "times",
}


class Composer:
    """Builds the steps of one pipeline: each part by its family, or by scikit-learn if no family covers it."""

    def __init__(self, contract: DataContract) -> None:
        self.covered: list[str] = []
        self.by_scikit_learn: list[str] = []
        """Names of the steps that no family covers, outer names first: `features/user`."""
        self._contract, self._positions = contract, number_positions(contract)

    def first(self, fitted: Any, name: str) -> Step:
        """Build the step whose input is the whole table."""
        before = self._progress()
        try:
            if class_path(fitted) == "sklearn.compose._column_transformer.ColumnTransformer":
                return self._columns(fitted, "table", name)
            if class_path(fitted) == "sklearn.pipeline.Pipeline" and fitted.steps:
                return self._chain(fitted.steps, name)
            select, kind = self.select(self._contract.features)
            return _after(select, self.step(fitted, kind, name))
        except NotCovered:
            self._leave_to_scikit_learn(name, before)
            return Step(lambda table: dense(fitted.transform(table.frame)))

    def _progress(self) -> tuple[int, int]:
        return len(self.covered), len(self.by_scikit_learn)

    def _leave_to_scikit_learn(self, name: str, before: tuple[int, int]) -> None:
        """Record one step as scikit-learn's, instead of its parts that were recorded since `before`."""
        del self.covered[before[0] :], self.by_scikit_learn[before[1] :]
        self.by_scikit_learn.append(name)

    def _chain(self, steps: Sequence[tuple[str, Any]], name: str) -> Step:
        first = f"{name}/{steps[0][0]}"
        step = self.first(steps[0][1], first)
        if first in self.by_scikit_learn and len(steps) > 1 and hasattr(steps[1][1], "feature_names_in_"):
            raise NotCovered("its first step returns a data frame")
        for part, fitted in steps[1:]:
            step = _after(step.transform, self.step(fitted, step.kind, f"{name}/{part}"))
        return step

    def select(self, names: Sequence[str]) -> tuple[Transform, Kind]:
        """Return how to take columns out of the table, and their kind.

        Raises:
            NotCovered: The columns are of several kinds.
        """
        kinds = {_KINDS[self._contract.columns[name].type] for name in names}
        if len(kinds) != 1:
            raise NotCovered("its columns are of several kinds")
        kind = kinds.pop()
        selected = list(names)
        if kind == "texts":
            return lambda table: table.texts(selected), kind
        if kind == "times":
            return lambda table: table.times(selected), kind
        positions: Any = [self._positions[name] for name in selected]
        if positions == list(range(positions[0], positions[0] + len(positions))):
            positions = slice(positions[0], positions[0] + len(positions))  # a view instead of a copy
        return lambda table: table.numbers(positions), kind

    def step(self, fitted: Any, kind: Kind, name: str) -> Step:
        """Build the step of one transformer for an input of a kind.

        Raises:
            NotCovered: No family covers it, and scikit-learn would need a data frame for it.
        """
        before = self._progress()
        try:
            return self._covered(fitted, kind, name)
        except NotCovered:
            if kind != "numbers":
                raise
            self._leave_to_scikit_learn(name, before)
            return Step(lambda block: dense(fitted.transform(block)))

    def _covered(self, fitted: Any, kind: Kind, name: str) -> Step:
        if fitted is None or fitted == "passthrough":
            return Step(lambda block: block, kind)
        if getattr(fitted, "_sklearn_output_config", {}).get("transform", "default") != "default":
            raise NotCovered("its output is a data frame")
        path = class_path(fitted)
        if path == "sklearn.pipeline.Pipeline":
            step = Step(lambda block: block, kind)
            for part, member in fitted.steps:
                step = _after(step.transform, self.step(member, step.kind, f"{name}/{part}"))
            return step
        if path == "sklearn.pipeline.FeatureUnion":
            return self._union(fitted, kind, name)
        if path == "sklearn.compose._column_transformer.ColumnTransformer":
            return self._columns(fitted, kind, name)
        if path not in _FAMILIES:
            raise NotCovered(f"no family covers {path}")
        step = _FAMILIES[path](fitted, kind)
        self.covered.append(name)
        return step

    def _union(self, fitted: Any, kind: Kind, name: str) -> Step:
        weights = fitted.transformer_weights or {}
        members = [(part, member) for part, member in fitted.transformer_list if member != "drop"]
        return _side_by_side(
            [_weighted(self.step(member, kind, f"{name}/{part}"), weights.get(part)) for part, member in members]
        )

    def _columns(self, fitted: Any, kind: Kind, name: str) -> Step:
        if getattr(fitted, "_sklearn_output_config", {}).get("transform", "default") != "default":
            raise NotCovered("its output is a data frame")
        weights = fitted.transformer_weights or {}
        steps = []
        for part, member, selected in fitted.transformers_:
            if isinstance(member, str) and member == "drop":
                continue
            positions = _column_positions(fitted, selected)
            if len(positions):
                make = self._part_of_table if kind == "table" else self._part_of_block
                steps.append(_weighted(make(fitted, member, positions, kind, f"{name}/{part}"), weights.get(part)))
        return _side_by_side(steps)

    def _part_of_block(self, _fitted: Any, member: Any, positions: Sequence[int], kind: Kind, name: str) -> Step:
        if kind != "numbers":
            raise NotCovered(f"its input is {kind}")
        return _after(lambda block: block[:, positions], self.step(member, kind, name))

    def _part_of_table(self, fitted: Any, member: Any, positions: Sequence[int], _kind: Kind, name: str) -> Step:
        names = [str(fitted.feature_names_in_[position]) for position in positions]
        before = self._progress()
        try:
            select, kind = self.select(names)
            return _after(select, self.step(member, kind, name))
        except NotCovered:
            if isinstance(member, str):
                raise
            self._leave_to_scikit_learn(name, before)
            return Step(lambda table: dense(member.transform(table.frame[names])))


def _column_positions(fitted: Any, selected: Any) -> list[int]:
    """Return the positions of selected columns, whether selected by name, position, mask or slice."""
    if isinstance(selected, str) or (np.ndim(selected) == 0 and not isinstance(selected, slice)):
        raise NotCovered("its input is one column as a list of values")
    if isinstance(selected, slice):
        if isinstance(selected.start, str) or isinstance(selected.stop, str):
            raise NotCovered("its columns are a slice of names")
        return list(range(fitted.n_features_in_))[selected]
    entries = list(selected)
    if entries and all(isinstance(entry, bool | np.bool_) for entry in entries):
        return [position for position, is_selected in enumerate(entries) if is_selected]
    if any(isinstance(entry, str) for entry in entries):
        if not hasattr(fitted, "feature_names_in_"):
            raise NotCovered("its columns are names, but its input has none")
        known = {str(name): position for position, name in enumerate(fitted.feature_names_in_)}
        return [known[str(entry)] for entry in entries]
    return [int(entry) for entry in entries]


def _after(first: Transform, step: Step) -> Step:
    transform = step.transform
    return Step(lambda block: transform(first(block)), step.kind)


def _weighted(step: Step, weight: float | None) -> Step:
    transform = step.transform
    return step if weight is None else Step(lambda block: transform(block) * weight, step.kind)


def _side_by_side(steps: Sequence[Step]) -> Step:
    if not steps or any(step.kind != "numbers" for step in steps):
        raise NotCovered("the output of a part is not numbers")
    if len(steps) == 1:
        return steps[0]
    transforms = [step.transform for step in steps]
    return Step(lambda block: np.concatenate([transform(block) for transform in transforms], axis=1))


def dense(output: Any) -> Any:
    """Convert the output of scikit-learn or of the user's code to numbers, shape (n, k)."""
    return np.asarray(output.toarray() if hasattr(output, "toarray") else output, dtype=np.float64)
