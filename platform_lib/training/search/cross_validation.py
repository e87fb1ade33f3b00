"""Fit and score configurations on folds of the training rows, in this process or in workers."""

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

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.boosters.inner_rows import inner_order
from platform_lib.data.contract import library_message
from platform_lib.errors import PlatformError
from platform_lib.metrics import METRICS, score
from platform_lib.metrics.configured import configure_metrics
from platform_lib.metrics.own import load_own_metrics
from platform_lib.metrics.weighting import MetricUndefined
from platform_lib.model.artifact import predict
from platform_lib.settings import Project
from platform_lib.training.config.schema import TrainConfig
from platform_lib.training.search.folds import Fold


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldScore:
    """The score of one configuration on one fold."""

    task: int
    """Position of the configuration in the argument of `score_folds`."""
    fold: int
    score: float | None
    """None if fitting failed, or if the metric is undefined on the fold's rows."""
    error: str | None
    """Why fitting failed."""
    seconds: float


def save_rows(
    path: Path, frame: pd.DataFrame, truth: NDArray[Any], folds: Sequence[Fold], order: NDArray[np.float64]
) -> None:
    """Write the training rows to a file, which each worker reads once.

    Args:
        path: Of the file.
        frame: Features, shape (n, features).
        truth: Targets, shape (n,).
        folds: Positions of rows to fit on and to score on.
        order: In which they become inner rows for early stopping, shape (n,); see `row_order`.
    """
    import joblib

    joblib.dump((frame, truth, list(folds), order), path)


def score_folds(
    project: Project, rows: Path, configs: Sequence[TrainConfig], folds: int, jobs: int
) -> Iterator[FoldScore]:
    """Score every configuration on every fold, each as soon as it is done.

    Args:
        project: Whose features and model.
        rows: File from `save_rows`.
        configs: Configurations.
        folds: Number of folds.
        jobs: Number of processes; 1 is this process.
    """
    import joblib

    tasks: Iterable[Any] = (
        joblib.delayed(_score_fold)(project, rows, task, config, fold)
        for task, config in enumerate(configs)
        for fold in range(folds)
    )
    with _ignoring_interrupts():  # the workers start here
        scores = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, verbose=0)(tasks)
    yield from scores


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Ignore SIGINT in processes that start in the block: Ctrl-C reaches them too, and this process ends them."""
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
    """Stop the worker processes when the block ends."""
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
        UsageError: A module cannot be imported, or rejects the configuration.
    """
    from platform_lib.training.features import compose_pipeline
    from platform_lib.user_code import import_user_module

    features = import_user_module(project, "features").build_features(config)
    return compose_pipeline(features, import_user_module(project, "model").build_model(config), config)


@lru_cache(maxsize=1)
def _read_rows(path: Path) -> tuple[pd.DataFrame, NDArray[Any], list[Fold], NDArray[np.float64]]:
    import joblib

    frame, truth, folds, order = joblib.load(path)
    return frame, truth, folds, order


def _score_fold(project: Project, rows: Path, task: int, config: TrainConfig, fold: int) -> FoldScore:
    started = time.perf_counter()
    frame, truth, folds, order = _read_rows(rows)
    fit, held = folds[fold]
    value: float | None = None
    error: str | None = None
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                # A hundred fits would repeat the same warning; `mlp train` shows it once.
                warnings.simplefilter("ignore")
            with inner_order(truth[fit], order[fit]):
                pipeline = build_pipeline(project, config).fit(frame.iloc[fit], truth[fit])
            if config.gate.metric not in METRICS:  # one of the project's own, in a worker process
                load_own_metrics(project)
                configure_metrics(costs=config.metrics.costs, quantile=config.metrics.quantile)
            value = score(config.gate.metric, truth[held], predict(pipeline, frame.iloc[held]))
    except MetricUndefined:
        pass
    except PlatformError as err:
        error = str(err)
    except Exception as err:
        error = f"{type(err).__name__}: {library_message(err, config.data, 300)}"
    return FoldScore(task=task, fold=fold, score=value, error=error, seconds=time.perf_counter() - started)
