"""Transformers put together: pipelines, column transformers and unions, each part by its family, or by scikit-learn where no family covers it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from platform_lib.data.contract import DataContract
from platform_lib.serving.fastpath.blocks import (
    Kind,
    NotCovered,
    Run,
    Step,
    TransformerFamily,
    class_path,
    number_places,
)
from platform_lib.serving.fastpath.families import (
    dates,
    discretisers,
    encoders,
    feature_selection,
    imputers,
    polynomials,
    scalers,
)

_FAMILIES: TransformerFamily = {
    name: make
    for family in (scalers, imputers, encoders, discretisers, polynomials, feature_selection, dates)
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
    """Makes the steps of one pipeline, and keeps which it left to scikit-learn."""

    def __init__(self, contract: DataContract) -> None:
        self.covered: list[str] = []
        self.ordinary: list[str] = []
        """Names of steps, outer ones first: `features/user`."""
        self._contract, self._places = contract, number_places(contract)

    def first(self, fitted: Any, name: str) -> Step:
        """The step that is given the whole table."""
        before = len(self.covered), len(self.ordinary)
        try:
            if class_path(fitted) == "sklearn.compose._column_transformer.ColumnTransformer":
                return self._columns(fitted, "table", name)
            if class_path(fitted) == "sklearn.pipeline.Pipeline" and fitted.steps:
                return self._chain(fitted.steps, name)
            select, kind = self.select(self._contract.features)
            return _after(select, self.step(fitted, kind, name))
        except NotCovered:
            del self.covered[before[0] :], self.ordinary[before[1] :]
            self.ordinary.append(name)
            return Step(lambda table: dense(fitted.transform(table.frame)))

    def _chain(self, steps: Sequence[tuple[str, Any]], name: str) -> Step:
        step = self.first(steps[0][1], f"{name}/{steps[0][0]}")
        for part, fitted in steps[1:]:
            step = _after(step.run, self.step(fitted, step.kind, f"{name}/{part}"))
        return step

    def select(self, names: Sequence[str]) -> tuple[Run, Kind]:
        """How to take columns of one kind out of the table.

        Raises:
            NotCovered: They are of several kinds.
        """
        kinds = {_KINDS[self._contract.columns[name].type] for name in names}
        if len(kinds) != 1:
            raise NotCovered("its columns are of several kinds")
        kind = kinds.pop()
        chosen = list(names)
        if kind == "texts":
            return lambda table: table.texts(chosen), kind
        if kind == "times":
            return lambda table: table.times(chosen), kind
        places: Any = [self._places[name] for name in chosen]
        if places == list(range(places[0], places[0] + len(places))):
            places = slice(places[0], places[0] + len(places))  # a view instead of a copy
        return lambda table: table.numbers(places), kind

    def step(self, fitted: Any, kind: Kind, name: str) -> Step:
        """One transformer, given a block of that kind.

        Raises:
            NotCovered: No family covers it, and scikit-learn would need a frame for it.
        """
        try:
            return self._covered(fitted, kind, name)
        except NotCovered:
            if kind != "numbers":
                raise
            self.ordinary.append(name)
            return Step(lambda block: dense(fitted.transform(block)))

    def _covered(self, fitted: Any, kind: Kind, name: str) -> Step:
        if fitted is None or fitted == "passthrough":
            return Step(lambda block: block, kind)
        if getattr(fitted, "_sklearn_output_config", {}).get("transform", "default") != "default":
            raise NotCovered("it makes frames")
        path = class_path(fitted)
        if path == "sklearn.pipeline.Pipeline":
            step = Step(lambda block: block, kind)
            for part, member in fitted.steps:
                step = _after(step.run, self.step(member, step.kind, f"{name}/{part}"))
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
            raise NotCovered("it makes frames")
        weights = fitted.transformer_weights or {}
        steps = []
        for part, member, chosen in fitted.transformers_:
            if isinstance(member, str) and member == "drop":
                continue
            places = _places(fitted, chosen)
            if len(places):
                make = self._part_of_table if kind == "table" else self._part_of_block
                steps.append(_weighted(make(fitted, member, places, kind, f"{name}/{part}"), weights.get(part)))
        return _side_by_side(steps)

    def _part_of_block(self, _fitted: Any, member: Any, places: Sequence[int], kind: Kind, name: str) -> Step:
        if kind != "numbers":
            raise NotCovered(f"it is given {kind}")
        return _after(lambda block: block[:, places], self.step(member, kind, name))

    def _part_of_table(self, fitted: Any, member: Any, places: Sequence[int], _kind: Kind, name: str) -> Step:
        names = [str(fitted.feature_names_in_[place]) for place in places]
        before = len(self.covered), len(self.ordinary)
        try:
            select, kind = self.select(names)
            return _after(select, self.step(member, kind, name))
        except NotCovered:
            if isinstance(member, str):
                raise
            del self.covered[before[0] :], self.ordinary[before[1] :]
            self.ordinary.append(name)
            return Step(lambda table: dense(member.transform(table.frame[names])))


def _places(fitted: Any, chosen: Any) -> list[int]:
    """Positions of chosen columns, however they were chosen."""
    if isinstance(chosen, str) or (np.ndim(chosen) == 0 and not isinstance(chosen, slice)):
        raise NotCovered("it is given one column as a list of values")
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            raise NotCovered("its columns are a slice of names")
        return list(range(fitted.n_features_in_))[chosen]
    entries = list(chosen)
    if entries and all(isinstance(entry, bool | np.bool_) for entry in entries):
        return [place for place, is_chosen in enumerate(entries) if is_chosen]
    if any(isinstance(entry, str) for entry in entries):
        if not hasattr(fitted, "feature_names_in_"):
            raise NotCovered("its columns are names, but it is given none")
        known = {str(name): place for place, name in enumerate(fitted.feature_names_in_)}
        return [known[str(entry)] for entry in entries]
    return [int(entry) for entry in entries]


def _after(first: Run, step: Step) -> Step:
    run = step.run
    return Step(lambda block: run(first(block)), step.kind)


def _weighted(step: Step, weight: float | None) -> Step:
    run = step.run
    return step if weight is None else Step(lambda block: run(block) * weight, step.kind)


def _side_by_side(steps: Sequence[Step]) -> Step:
    if not steps or any(step.kind != "numbers" for step in steps):
        raise NotCovered("a part of it makes no numbers")
    if len(steps) == 1:
        return steps[0]
    runs = [step.run for step in steps]
    return Step(lambda block: np.concatenate([run(block) for run in runs], axis=1))


def dense(made: Any) -> Any:
    """What scikit-learn or the user's code made, as numbers."""
    return np.asarray(made.toarray() if hasattr(made, "toarray") else made, dtype=np.float64)
