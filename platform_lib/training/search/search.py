"""Search hyper-parameters by cross-validation on the training rows, without using the held-out rows.

Writes nothing: `tracked_search` records the results, and `mlp train` fits the model.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from platform_lib.errors import CheckFailed, UsageError
from platform_lib.metrics import METRICS
from platform_lib.settings import Project
from platform_lib.training.boosters.inner_rows import row_order
from platform_lib.training.config.combinations import combinations
from platform_lib.training.search.cross_validation import FoldScore, build_pipeline, save_rows, score_folds, workers
from platform_lib.training.search.folds import inner_folds
from platform_lib.training.search.sampler import Candidate, Sampler, Suggestion

BATCH_TRIALS = 4
"""Trials suggested at once. Independent of the number of workers, so that a search is the same on every machine."""

End = Literal["finished", "exhausted", "timeout", "interrupt"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One trial and its result."""

    number: int
    """From 1, in the order of the suggestions."""
    choices: dict[str, str]
    params: dict[str, Any]
    """Values of the searched parameters."""
    scores: tuple[float, ...]
    """One per fold that could be scored."""
    error: str | None
    seconds: float
    """Sum over all folds."""
    overrides: tuple[str, ...]
    """Overrides with which `mlp train` fits this configuration."""

    @property
    def mean(self) -> float:
        """Mean over the folds; NaN without a score."""
        return float(np.mean(self.scores)) if self.scores else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation over the folds; NaN without a score."""
        return float(np.std(self.scores)) if self.scores else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """All trials of a search."""

    metric: str
    folds: int
    trials: list[Trial]
    """In the order of their numbers."""
    ended: End

    @property
    def ranked(self) -> list[Trial]:
        """The trials that have a score, best first; equal ones in order of their numbers."""
        return ranked(self.trials, self.metric)

    @property
    def best(self) -> Trial | None:
        """The best trial; None if none has a score."""
        return next(iter(self.ranked), None)


def ranked(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The trials that have a score, best first; equal ones in order of their numbers."""
    sign = -1 if METRICS[metric].greater_is_better else 1
    return sorted(
        (trial for trial in trials if trial.error is None), key=lambda trial: (sign * trial.mean, trial.number)
    )


def candidates(project: Project, overrides: Sequence[str]) -> list[Candidate]:
    """Compose every combination of the choices that overrides list, such as `model=logistic,forest`.

    Raises:
        UsageError: An override does not fit, a list is for a group that has to be the same in all trials, there is
            nothing to search, or the project's code rejects a configuration.
    """
    found = []
    for combined in combinations(project, overrides):
        composed = combined.composed
        space = composed.config.search.space.get(combined.choice("model"), {})
        found.append(
            Candidate(choices=combined.choices, overrides=combined.overrides, config=composed.config, space=space)
        )
    if len(found) == 1 and not found[0].space:
        search = found[0].config.search
        raise UsageError(
            f"there is nothing to search: conf/search has no space for the model {found[0].config.model.name!r}, it "
            "has one for "
            f"{', '.join(search.space) or 'none'}. Add it there, or list choices, such as model=logistic,forest."
        )
    for candidate in found:
        build_pipeline(project, candidate.config)
    return found


def search(
    project: Project,
    tried: Sequence[Candidate],
    *,
    trials: int,
    timeout_s: float | None = None,
    jobs: int = 1,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> SearchResult:
    """Search the candidates; the first trial of each has its configured parameters.

    Equal seeds, data and candidates give equal results for any `jobs`, unless a timeout or an interruption ends the
    search early.

    Args:
        project: Whose data, features and model.
        tried: From `candidates`.
        trials: Largest number of trials.
        timeout_s: No trial starts later than this; None is no limit.
        jobs: Number of processes; 1 is this process.
        on_trial: Called with each trial when it ends. Ctrl-C ends the search and keeps the trials.
    Raises:
        CheckFailed: The rows are too few for two folds.
    """
    from platform_lib.data.dataset import load_dataset
    from platform_lib.training.steps import split_rows

    config = tried[0].config
    metric = config.gate.metric
    started = time.monotonic()
    split = split_rows(load_dataset(project, config.data), config)
    table = split.table[~split.held_out]
    folds = inner_folds(table, split.train.truth, config)
    sampler = Sampler(tried, greater_is_better=METRICS[metric].greater_is_better, seed=config.seed)
    done: list[Trial] = []
    ended: End = "finished"
    with tempfile.TemporaryDirectory(prefix="mlp-sweep-", ignore_cleanup_errors=True) as folder, workers(jobs):
        rows = Path(folder) / "rows.joblib"
        save_rows(rows, split.train.frame, split.train.truth, folds, row_order(table, config))
        try:
            while len(done) < trials:
                if timeout_s is not None and done and time.monotonic() - started > timeout_s:
                    ended = "timeout"
                    break
                batch = sampler.next(min(BATCH_TRIALS, trials - len(done)))
                if not batch:
                    ended = "exhausted"
                    break
                first = len(done)
                parts: dict[int, list[FoldScore]] = {}
                for part in score_folds(project, rows, [suggestion.config for suggestion in batch], len(folds), jobs):
                    parts.setdefault(part.task, []).append(part)
                    if len(parts[part.task]) == len(folds):
                        trial = _trial(first + part.task + 1, batch[part.task], parts[part.task])
                        done.append(trial)
                        on_trial(trial)
                for trial in sorted(done[first:], key=lambda trial: trial.number):
                    sampler.tell(batch[trial.number - first - 1], None if trial.error else trial.mean)
        except KeyboardInterrupt:
            ended = "interrupt"
    return SearchResult(
        metric=metric, folds=len(folds), trials=sorted(done, key=lambda trial: trial.number), ended=ended
    )


def _trial(number: int, suggestion: Suggestion, parts: Sequence[FoldScore]) -> Trial:
    # Folds end in any order, on which sums of floats must not depend.
    scores = tuple(part.score for part in sorted(parts, key=lambda part: part.fold) if part.score is not None)
    error = next((part.error for part in parts if part.error is not None), None)
    if error is None and not scores:
        error = (
            f"{suggestion.candidate.config.gate.metric} is undefined on every fold: add rows, or choose another metric"
        )
    return Trial(
        number=number,
        choices=suggestion.candidate.choices,
        params=suggestion.params,
        scores=scores,
        error=error,
        seconds=sum(part.seconds for part in parts),
        overrides=_overrides(suggestion),
    )


def _overrides(suggestion: Suggestion) -> tuple[str, ...]:
    """The overrides that compose this configuration in `mlp train`."""
    kept = [text for text in suggestion.candidate.overrides if not text.lstrip("~+").startswith(("search.", "search="))]
    named = suggestion.candidate.config.model.params
    return (
        *kept,
        *(
            f"{'' if name in named else '+'}model.params.{name}={as_override(value)}"
            for name, value in suggestion.params.items()
        ),
    )


def as_override(value: Any) -> str:
    """A value in Hydra's grammar, such as 0.1, null, [1,2] or 'a text'."""
    if isinstance(value, str):
        return (
            value
            if value.isidentifier() and value not in ("null", "true", "false")
            else "'" + value.replace("'", "\\'") + "'"
        )
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return json.dumps(value, separators=(",", ":"))


def all_failed(result: SearchResult) -> CheckFailed:
    """The error for a search in which no trial has a score."""
    return CheckFailed(f"all {len(result.trials)} tries failed, the first with: {result.trials[0].error}")
