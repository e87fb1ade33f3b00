"""The steps of a training, which the user's `pipeline.py` calls. `run` binds them to a run and a registry.

A project's `pipeline.py` is generated once and never updated: what it uses (`Steps`, its six callables and
`TrainingResult`) may only be extended.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from platform_lib.data.contract import library_message
from platform_lib.data.frame import feature_frame, target_values
from platform_lib.data.splits import holdout_mask
from platform_lib.errors import CheckFailed, PlatformError, UsageError
from platform_lib.model.artifact import LoadedModel, Predictions, predict
from platform_lib.training.config.schema import TrainConfig
from platform_lib.training.diagnostics.held_out import HeldOut
from platform_lib.user_code import user_frame

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline

    from platform_lib.training.advice import Step
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.gates import Verdict


Predicted = Callable[["Pipeline", pd.DataFrame], Predictions]
"""Predicts the n held-out rows: `predict`, or what has done so before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """n rows as a model sees them."""

    frame: pd.DataFrame
    """The features, shape (n, features); see `data.frame.feature_frame`."""
    truth: NDArray[Any]
    """The target, shape (n,)."""

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """The table, divided into training rows and held-out rows."""

    table: pd.DataFrame
    """All rows and columns of the contract."""
    held_out: NDArray[np.bool_]
    """Shape (rows of the table,), True where held out."""
    train: Rows
    test: Rows
    """The held-out rows, which only `evaluate` and `gate` use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """The result of a training."""

    name: str
    version: str
    run_id: str
    passed: bool
    """Whether the version passed the gate."""
    promoted: bool
    """Whether the version is the champion now."""
    champion_before: str | None
    """The previous champion's version, or None."""
    evaluation: "Evaluation"
    verdict: "Verdict"
    notices: tuple[str, ...] = ()
    """What people should know about the model, one sentence each."""
    diagnosis: tuple[str, ...] = ()
    """Its diagnostics in at most three lines; empty with `diagnostics=off`."""
    next_steps: "tuple[Step, ...]" = ()
    """Commands that can help a version that did not pass."""
    description: str = ""
    """Of the version, in Markdown."""
    page: str | None = None
    """Address of the run in MLflow's pages, without a login; None if the store is a file, which has no pages."""
    report: str | None = None
    """Address of the run's report: a file, else its page in MLflow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """The six steps, bound to one run."""

    load: Callable[[TrainConfig], pd.DataFrame]
    split: Callable[[pd.DataFrame, TrainConfig], Split]
    fit: Callable[[Any, Any, Split, TrainConfig], "Pipeline"]
    evaluate: Callable[["Pipeline", Split, TrainConfig], "Evaluation"]
    gate: Callable[["Pipeline", Split, TrainConfig], "Verdict"]
    register: Callable[["Pipeline", "Evaluation", "Verdict", Split, TrainConfig], TrainingResult]


def split_rows(table: pd.DataFrame, config: TrainConfig) -> Split:
    """Divide the table into training rows and held-out rows by `config.split`.

    Args:
        table: Typed, shape (rows, columns of the contract).
        config: Split and contract.
    Raises:
        UsageError: A setting does not fit, or one side would be empty.
    """
    settings = config.split
    held_out = holdout_mask(
        table,
        config.data,
        method=settings.method,
        test_share=settings.test_share,
        column=settings.column,
        cutoff=settings.cutoff,
        salt=settings.salt,
    )
    return Split(
        table=table, held_out=held_out, train=_rows(table[~held_out], config), test=_rows(table[held_out], config)
    )


def fit_pipeline(features: "BaseEstimator", model: "BaseEstimator", split: Split, config: TrainConfig) -> "Pipeline":
    """Fit features and model as one pipeline, on the training rows only.

    Raises:
        CheckFailed: The training rows have only one class.
        UsageError: The estimator rejects its parameters or the data.
    """
    from platform_lib.training.boosters.inner_rows import with_inner_rows
    from platform_lib.training.features import compose_pipeline

    if config.data.task == "classification" and len(classes := set(split.train.truth.tolist())) < 2:
        raise CheckFailed(
            f"all {len(split.train)} training rows have {config.data.target} = {classes.pop()!r}, "
            "and a classifier needs at least two classes: add rows."
        )
    pipeline = compose_pipeline(features, model, config)
    try:
        with with_inner_rows(model, split.table[~split.held_out], split.train.truth, config):
            return pipeline.fit(split.train.frame, split.train.truth)
    except (PlatformError, OSError, MemoryError):
        raise
    except Exception as err:
        if user_frame(err) is not None:
            raise
        raise UsageError(
            f"fitting {type(model).__name__} failed: {library_message(err, config.data)}. Look at conf/model, "
            "features.py and model.py."
        ) from err


def evaluate_held_out(
    pipeline: "Pipeline", split: Split, config: TrainConfig, *, predicted: Predicted = predict
) -> "Evaluation":
    """Evaluate the pipeline and constant predictions on the held-out rows, overall and per slice."""
    import msgspec

    from platform_lib.training.baselines import constant_scores
    from platform_lib.training.evaluation import measure

    rows = split.test
    evaluation = measure(predicted(pipeline, rows.frame), rows.frame, rows.truth, config)
    constants = constant_scores(split.train.truth, split.test.truth, config.data.task)
    return msgspec.structs.replace(evaluation, baseline=constants)


def held_out_rows(
    pipeline: "Pipeline", split: Split, config: TrainConfig, *, predicted: Predicted = predict
) -> HeldOut:
    """The held-out rows with the pipeline's predictions, as diagnostics need them."""
    contract, rows = config.data, split.test
    return HeldOut(
        frame=rows.frame,
        truth=rows.truth,
        predictions=predicted(pipeline, rows.frame),
        contract=contract,
        table_rows=np.flatnonzero(split.held_out),
        ids=None if contract.id is None else split.table[contract.id].to_numpy(dtype=object)[split.held_out],
    )


def judge_candidate(
    pipeline: "Pipeline",
    split: Split,
    config: TrainConfig,
    *,
    champion: LoadedModel | None,
    best_promoted: float | None,
    champion_config: TrainConfig | None = None,
    predicted: Predicted = predict,
) -> "Verdict":
    """Apply the gate: thresholds, constants, the champion on the same rows, and the best score ever promoted.

    Rows that the champion was fitted on, by its configuration, are not compared. If the champion cannot be scored, the
    candidate is refused.
    """
    from platform_lib.training.baselines import constant_predictions
    from platform_lib.training.gates import judge
    from platform_lib.training.unseen_rows import unseen_rows

    candidate = predicted(pipeline, split.test.frame)
    reason = None
    answers = None
    if champion is not None:
        try:
            answers = _champion_answers(champion, split, config)
        except UsageError as err:
            reason = str(err)
    verdict = judge(
        config.gate,
        truth=split.test.truth,
        candidate=candidate,
        champion=answers,
        champion_version=None if champion is None else champion.version,
        best_promoted=best_promoted,
        unseen=unseen_rows(split.table, split.held_out, config, champion_config),
        constants=constant_predictions(split.train.truth, len(split.test), config.data.task, config.gate.metric),
    )
    return verdict if reason is None else refused(verdict, unscorable(champion.version if champion else "", reason))


def refused(verdict: "Verdict", reason: str) -> "Verdict":
    """The verdict as a refusal, with one more reason."""
    import msgspec

    return msgspec.structs.replace(verdict, passed=False, decision="refused", reasons=[*verdict.reasons, reason])


def unscorable(version: str, reason: str) -> str:
    """The reason for refusing a candidate because the champion cannot be scored, and the remedy."""
    from platform_lib.training.gates import REBASE

    return (
        f"the champion, version {version}, cannot be scored on these rows: {reason.rstrip('.')}. "
        f"If the table changed on purpose, {REBASE}"
    )


def _champion_answers(champion: LoadedModel, split: Split, config: TrainConfig) -> Any:
    for what, theirs, ours in (
        ("target", champion.contract.target, config.data.target),
        ("task", champion.contract.task, config.data.task),
    ):
        if theirs != ours:
            raise UsageError(f"its {what} is {theirs!r}, and this training's is {ours!r}")
    try:
        # The reason why a row does not fit becomes a tag: an older contract may not know yet what is private.
        champion = replace(champion, contract=champion.contract.with_private(config.data))
        return champion.predict(split.table[split.held_out])
    except (TypeError, ValueError) as err:
        raise UsageError(library_message(err, config.data)) from err


def _rows(table: pd.DataFrame, config: TrainConfig) -> Rows:
    return Rows(frame=feature_frame(table, config.data), truth=target_values(table, config.data))
