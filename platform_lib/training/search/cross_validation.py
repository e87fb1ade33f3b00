"""Fit and score one configuration on the folds of the training rows, in this process or in workers. `sampler` decides what to try."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from platform_lib.errors import PlatformError
from platform_lib.metrics import score
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import predict
from platform_lib.settings import Project
from platform_lib.training.config.schema import TrainConfig
from platform_lib.training.search.folds import Fold


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldScore:
    """One configuration on one fold."""

    task: int
    """Position of the configuration among those that were asked for."""
    fold: int
    score: float | None
    """None where fitting failed or the metric is undefined on the fold's rows."""
    error: str | None
    """Why fitting failed."""
    seconds: float


def save_rows(path: Path, frame: pd.DataFrame, truth: NDArray[Any], folds: Sequence[Fold]) -> None:
    """Write the training rows once, so that each worker reads them once and no task carries them."""
    import joblib

    joblib.dump((frame, truth, list(folds)), path)


def score_folds(
    project: Project, rows: Path, configs: Sequence[TrainConfig], folds: int, jobs: int
) -> Iterator[FoldScore]:
    """Score every configuration on every fold, each as soon as it is done.

    Args:
        rows: From `save_rows`.
        folds: How many there are.
        jobs: Processes; 1 stays in this one.
    """
    import joblib

    tasks: Iterable[Any] = (
        joblib.delayed(_score_fold)(project, rows, task, config, fold)
        for task, config in enumerate(configs)
        for fold in range(folds)
    )
    with _deaf_to_interrupts():  # the workers start here
        scores = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, verbose=0)(tasks)
    yield from scores


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that start meanwhile inherit that Ctrl-C, which reaches the whole terminal, is not for them: we end them, without tracebacks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def workers(jobs: int) -> Iterator[None]:
    """Stop the worker processes at the end, whatever ended it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*tasks which were still being processed")  # joblib, on Ctrl-C
            yield
    finally:
        _read_rows.cache_clear()
        if jobs != 1:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True, kill_workers=True)


def build_pipeline(project: Project, config: TrainConfig) -> Any:
    """The pipeline that the project's `features.py` and `model.py` build, unfitted.

    Raises:
        UsageError: They cannot be imported, or refuse the configuration.
    """
    from platform_lib.training.features import compose_pipeline
    from platform_lib.user_code import import_user_module

    features = import_user_module(project, "features").build_features(config)
    return compose_pipeline(features, import_user_module(project, "model").build_model(config), config)


@lru_cache(maxsize=1)
def _read_rows(path: Path) -> tuple[pd.DataFrame, NDArray[Any], list[Fold]]:
    import joblib

    frame, truth, folds = joblib.load(path)
    return frame, truth, folds


def _score_fold(project: Project, rows: Path, task: int, config: TrainConfig, fold: int) -> FoldScore:
    started = time.perf_counter()
    frame, truth, folds = _read_rows(rows)
    fit, held = folds[fold]
    value: float | None = None
    error: str | None = None
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter(
                    "ignore"
                )  # a hundred fits would say the same hundred times; `mlp train` says it once
            pipeline = build_pipeline(project, config).fit(frame.iloc[fit], truth[fit])
            value = score(config.gate.metric, truth[held], predict(pipeline, frame.iloc[held]))
    except MetricUndefined:
        pass
    except PlatformError as err:
        error = str(err)
    except Exception as err:
        error = f"{type(err).__name__}: {' '.join(str(err).split()):.300}"
    return FoldScore(task=task, fold=fold, score=value, error=error, seconds=time.perf_counter() - started)
