"""Run one training from start to end: track every step, and never leave its MLflow run open.

Binds the steps to a run and a registry. The user's `pipeline.py` decides which run; `plan` checks what they need.
"""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from platform_lib.errors import CheckFailed, PlatformError, UntrustedModel, UsageError
from platform_lib.model.held_out_predictions import HeldOutPredictions
from platform_lib.names import ArtifactFile, VersionTag
from platform_lib.registry.client import run_page
from platform_lib.registry.loading import load_record
from platform_lib.settings import Project, Settings
from platform_lib.training import tracking
from platform_lib.training.documents.description import describe, show_verdict, version_tags
from platform_lib.training.plan import Progress, TrainingPlan, TrainingRequest, prepare, silent
from platform_lib.training.servable import check_servable
from platform_lib.training.steps import (
    Predicted,
    Split,
    Steps,
    TrainingResult,
    evaluate_held_out,
    fit_pipeline,
    held_out_rows,
    judge_candidate,
    refused,
    split_rows,
    unscorable,
)
from platform_lib.user_code import import_user_module

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from platform_lib.registry.reference import VersionRecord
    from platform_lib.training.advice import Step
    from platform_lib.training.config.schema import TrainConfig
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.gates import Verdict


def execute(
    plan: TrainingPlan, *, progress: Progress = silent, wrap: Callable[[Steps], Steps] | None = None
) -> TrainingResult:
    """Train in a new MLflow run, which is finished, failed or killed when this returns.

    Args:
        plan: What to train.
        progress: Shows the current step.
        wrap: Converts the steps to tracked ones.
    Raises:
        UsageError: The project's `pipeline.py` cannot be imported.
        PlatformError: A step failed; the run has the reason.
    """
    train = import_user_module(plan.project, "pipeline").train
    tracking.close_abandoned_runs(plan.registry, plan.project.name)
    with _interruptible(), tracking.open_run(plan) as run_id:
        steps = bind(plan, run_id, progress)
        result = train(plan.config, wrap(steps) if wrap else steps)
        if not isinstance(result, TrainingResult):
            raise CheckFailed(
                f"train() in pipeline.py returned {type(result).__name__}, expected what steps.register returns: end "
                "it with `return`."
            )
        return result


def train(
    project: Project,
    settings: Settings,
    overrides: Sequence[str] = (),
    *,
    promote: bool = True,
    allow_dirty: bool = False,
    new_baseline: bool = False,
    progress: Progress = silent,
) -> TrainingResult:
    """Train once, in this process and without Prefect. `flow.train` uses Prefect where a server is configured."""
    request = TrainingRequest(
        overrides=tuple(overrides), promote=promote, allow_dirty=allow_dirty, new_baseline=new_baseline
    )
    return execute(prepare(project, settings, request), progress=progress)


def bind(plan: TrainingPlan, run_id: str, progress: Progress) -> Steps:
    """Bind the steps to one run."""
    diagnosis: list[str] = []
    predicted = HeldOutPredictions()

    def load(config: "TrainConfig") -> "pd.DataFrame":
        from platform_lib.data.dataset import load_dataset

        with progress(f"Loading {config.data.path}"):
            return load_dataset(plan.project, config.data)

    def split(table: "pd.DataFrame", config: "TrainConfig") -> Split:
        parts = split_rows(table, config)
        tracking.log_rows(plan, run_id, parts)
        return parts

    def fit(features: Any, model: Any, parts: Split, config: "TrainConfig") -> "Pipeline":
        from platform_lib.training.boosters.choice import boosters_in, described

        with progress(f"Fitting {type(model).__name__} on {len(parts.train)} rows"):
            pipeline = fit_pipeline(features, model, parts, config)
        for text in described(pipeline):
            with progress(text):
                tracking.log_trees(plan, run_id, boosters_in(pipeline))
        project = plan.project
        check_servable(pipeline, parts.test.frame, package=project.package, trusted_types=project.trusted_types)
        return pipeline

    def evaluate(pipeline: "Pipeline", parts: Split, config: "TrainConfig") -> "Evaluation":
        with progress(f"Evaluating on {len(parts.test)} held-out rows"):
            evaluation = evaluate_held_out(pipeline, parts, config, predicted=predicted)
            tracking.log_evaluation(plan, run_id, evaluation)
        if config.diagnostics:
            with progress("Looking at its errors"):
                diagnosis[:] = _diagnose(plan, run_id, pipeline, parts, config, predicted)
        return evaluation

    def gate(pipeline: "Pipeline", parts: Split, config: "TrainConfig") -> "Verdict":
        with progress("Asking the gate"):
            return _gate(plan, pipeline, parts, config, predicted)

    def register(
        pipeline: "Pipeline", evaluation: "Evaluation", verdict: "Verdict", parts: Split, config: "TrainConfig"
    ) -> TrainingResult:
        with progress("Registering"):
            tracking.log_reference_rows(plan, run_id, pipeline, parts.test)
            result = _register(plan, run_id, pipeline, evaluation, verdict, parts, config)
            return replace(result, diagnosis=tuple(diagnosis))

    return Steps(load=load, split=split, fit=fit, evaluate=evaluate, gate=gate, register=register)


def _diagnose(
    plan: TrainingPlan,
    run_id: str,
    pipeline: "Pipeline",
    parts: Split,
    config: "TrainConfig",
    predicted: Predicted,
) -> tuple[str, ...]:
    """Store the run's diagnostics; returns them in a few lines. Their failure is one of these lines, and no error."""
    from platform_lib.data.contract import library_message
    from platform_lib.training.diagnostics.build import diagnose
    from platform_lib.training.diagnostics.store import store_diagnostics
    from platform_lib.training.diagnostics.summary import summary

    try:
        diagnostics = diagnose(
            pipeline,
            held_out_rows(pipeline, parts, config, predicted=predicted),
            metric=config.gate.metric,
            threshold=config.model.threshold,
            slices=config.slices,
            seed=config.seed,
        )
        return summary(store_diagnostics(plan.registry, run_id, diagnostics))
    except Exception as err:
        reason = str(err) if isinstance(err, PlatformError) else library_message(err, config.data)
        return (f"The run has no diagnostics: {type(err).__name__}: {reason}",)


def _gate(
    plan: TrainingPlan, pipeline: "Pipeline", parts: Split, config: "TrainConfig", predicted: Predicted
) -> "Verdict":
    from platform_lib.metrics import METRICS

    judge = partial(judge_candidate, pipeline, parts, config, predicted=predicted)
    champion_record = None if plan.request.new_baseline else plan.champions.champion(plan.project.name)
    if champion_record is None:
        return judge(champion=None, best_promoted=None)
    best = plan.champions.best_promoted(
        plan.project.name,
        metric=config.gate.metric,
        data=config.data.name,
        target=config.data.target,
        greater_is_better=METRICS[config.gate.metric].greater_is_better,
    )
    try:
        champion = load_record(plan.champions, champion_record, plan.project)
    except UntrustedModel as err:
        verdict = judge(champion=None, best_promoted=best)
        return refused(verdict, unscorable(champion_record.version, str(err)))
    return judge(champion=champion, best_promoted=best, champion_config=_champion_config(plan, champion_record))


def _champion_config(plan: TrainingPlan, record: "VersionRecord") -> "TrainConfig | None":
    """The configuration that the champion was trained with; None if it cannot be read."""
    from platform_lib.training.config.compose import read_config

    try:
        return read_config((plan.champions.folder(record) / ArtifactFile.CONFIG).read_text(encoding="utf-8"))
    except (OSError, UsageError):
        return None


def _register(
    plan: TrainingPlan,
    run_id: str,
    pipeline: "Pipeline",
    evaluation: "Evaluation",
    verdict: "Verdict",
    parts: Split,
    config: "TrainConfig",
) -> TrainingResult:
    import msgspec

    from platform_lib.model.artifact import predict
    from platform_lib.model.profile import build_profile
    from platform_lib.registry.model_files import ModelContent
    from platform_lib.training.documents.address import report_address, report_page
    from platform_lib.training.documents.report import keep_report
    from platform_lib.training.notices import key_notices, training_notices

    name = plan.project.name
    champion = plan.champions.champion(name)
    frame = parts.train.frame
    answers = predict(pipeline, frame)
    content = ModelContent(
        pipeline=pipeline,
        contract=config.data,
        example=frame,
        predictions=answers,
        profile=build_profile(frame, answers, config.data),
        config_yaml=plan.config_yaml,
        package=plan.project.package,
        trusted_types=plan.project.trusted_types,
        card=plan.card,
    )
    gate = {**msgspec.to_builtins(verdict), "data": config.data.name, "target": config.data.target}
    tags = dict(plan.request.tags) | plan.origin.tags() | version_tags(pipeline, config)
    tags[VersionTag.GATE] = json.dumps(gate)
    if plan.request.new_baseline and champion is not None:
        tags[VersionTag.NEW_BASELINE] = champion.version
    description = describe(pipeline, config, evaluation, verdict, plan.card)
    shown = f"{description}\n\n[Report]({report_page(plan.registry, run_id)})"
    record = plan.registry.register(
        name, content, run_id=run_id, tags=tags, passed=verdict.passed, key=plan.key, description=shown
    )
    show_verdict(plan, run_id, version=record.version, verdict=verdict, description=shown)
    notices = (*key_notices(parts.table, config), *training_notices(pipeline, parts.test, evaluation, config))
    notices += keep_report(plan, record, content, evaluation, notices)
    promoted = verdict.passed and plan.request.promote and plan.is_local
    if promoted:
        plan.registry.promote(record)
    return TrainingResult(
        name=name,
        version=record.version,
        run_id=run_id,
        passed=verdict.passed,
        promoted=promoted,
        champion_before=None if champion is None else champion.version,
        evaluation=evaluation,
        verdict=verdict,
        notices=notices,
        description=description,
        report=report_address(plan.registry, run_id),
        page=run_page(plan.registry.backend, plan.registry.uri, run_id),
        next_steps=tuple(_advice(plan, f"{name}/{record.version}", evaluation, verdict, config)),
    )


def _advice(
    plan: TrainingPlan, version: str, evaluation: "Evaluation", verdict: "Verdict", config: "TrainConfig"
) -> "list[Step]":
    from platform_lib.boosters.libraries import LIBRARIES
    from platform_lib.training.advice import next_steps

    missing = {library.name for library in LIBRARIES.values() if not library.is_installed()}
    models = sorted({path.stem for path in (plan.project.conf_dir / "model").glob("*.yaml")} - missing)
    return next_steps(version, config, evaluation, verdict, overrides=plan.request.overrides, models=models)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Convert SIGTERM to KeyboardInterrupt in the main thread, so that it ends the run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
