"""Suggest what to try next: every candidate as configured, then what Optuna's TPE suggests from the scores."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from platform_lib.training.config.schema import SearchDimension, TrainConfig

if TYPE_CHECKING:
    import optuna

_MOST_REPEATS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One combination of group choices, such as model=forest with features=standard."""

    choices: dict[str, str]
    """The choices that differ between candidates."""
    overrides: tuple[str, ...]
    """The overrides that compose it."""
    config: TrainConfig
    space: dict[str, SearchDimension]
    """Per parameter in `model.params`, its range."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One configuration to try."""

    number: int
    """Optuna's, from 0."""
    candidate: Candidate
    params: dict[str, Any]
    """Values of the searched parameters."""

    @property
    def config(self) -> TrainConfig:
        """The candidate's configuration with these values."""
        model = self.candidate.config.model
        return msgspec.structs.replace(
            self.candidate.config, model=msgspec.structs.replace(model, params={**model.params, **self.params})
        )


class Sampler:
    """Suggests configurations. Equal seeds, candidates and scores give equal suggestions."""

    def __init__(self, candidates: Sequence[Candidate], *, greater_is_better: bool, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            # Options that Optuna calls experimental; the project locks its version.
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._candidates = candidates
        self._study = optuna.create_study(direction="maximize" if greater_is_better else "minimize", sampler=sampler)
        self._seen: set[str] = set()
        for place, candidate in enumerate(candidates):
            # The configured values come first: a search should never end below where it started.
            inside = {name: candidate.config.model.params.get(name) for name in candidate.space}
            known = {name: value for name, value in inside.items() if _is_inside(value, candidate.space[name])}
            enqueued = {_key(place, name): _place_of(value, candidate.space[name]) for name, value in known.items()}
            self._study.enqueue_trial({_CANDIDATE: place, **enqueued})

    def next(self, count: int) -> list[Suggestion]:
        """Up to `count` configurations that were not suggested before; fewer if the space has no more."""
        import optuna

        fresh: list[Suggestion] = []
        repeats = 0
        while len(fresh) < count and repeats < _MOST_REPEATS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                asked = self._study.ask()
                suggestion = self._suggest(asked)
            identity = repr((suggestion.candidate.choices, sorted(suggestion.params.items())))
            if identity in self._seen:
                repeats += 1
                self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
                continue
            self._seen.add(identity)
            fresh.append(suggestion)
        return fresh

    def tell(self, suggestion: Suggestion, value: float | None) -> None:
        """Report a score; None for a try that failed."""
        import optuna

        if value is None:
            self._study.tell(suggestion.number, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(suggestion.number, value)

    def _suggest(self, asked: "optuna.Trial") -> Suggestion:
        place = asked.suggest_categorical(_CANDIDATE, list(range(len(self._candidates))))
        candidate = self._candidates[place]
        params = {name: _value(asked, _key(place, name), dimension) for name, dimension in candidate.space.items()}
        return Suggestion(asked.number, candidate, params)


_CANDIDATE = "candidate"


def _key(place: int, name: str) -> str:
    return f"{place}.{name}"


def _value(asked: "optuna.Trial", key: str, dimension: SearchDimension) -> Any:
    if dimension.type == "choice":
        choices = dimension.choices or []
        # By position: Optuna accepts only texts and numbers, and a choice may be a list.
        return choices[asked.suggest_categorical(key, list(range(len(choices))))]
    low, high = float(dimension.low or 0), float(dimension.high or 0)
    if dimension.type == "int":
        return asked.suggest_int(key, int(low), int(high), log=dimension.log)
    return asked.suggest_float(key, low, high, log=dimension.log)


def _is_inside(value: Any, dimension: SearchDimension) -> bool:
    if dimension.type == "choice":
        return value in (dimension.choices or [])
    if isinstance(value, bool) or not isinstance(value, int | float) or dimension.low is None or dimension.high is None:
        return False
    return dimension.low <= value <= dimension.high and (dimension.type == "float" or float(value).is_integer())


def _place_of(value: Any, dimension: SearchDimension) -> Any:
    return (dimension.choices or []).index(value) if dimension.type == "choice" else value
