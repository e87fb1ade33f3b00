"""Fit several models on the same rows and compare them. Nothing is registered.

Each model goes through the project's `pipeline.py`, as in `mlp train`, with a step `register` that does not register.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from platform_lib.data.contract import library_message
from platform_lib.errors import CheckFailed, PlatformError, UsageError
from platform_lib.lineage import text_sha256
from platform_lib.model.artifact import Predictions, predict
from platform_lib.settings import Project, Settings
from platform_lib.training import tracking
from platform_lib.training.comparison.record import MODEL_TAGS, ParentRun
from platform_lib.training.comparison.result import Comparison, ModelRow, rank
from platform_lib.training.config.combinations import Combination, combinations
from platform_lib.training.config.overrides import check_choice, choices_of
from platform_lib.training.plan import Progress, TrainingPlan, TrainingRequest, prepare, silent
from platform_lib.training.run import bind
from platform_lib.training.servable import check_servable
from platform_lib.training.steps import Split, Steps, TrainingResult, fit_pipeline, judge_candidate
from platform_lib.user_code import import_user_module, user_frame

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from platform_lib.training.config.schema import TrainConfig
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.gates import Verdict


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Models:
    """What to compare."""

    combinations: list[Combination]
    left_out: dict[str, str]
    """Choices that were not asked for by name and cannot be built here → the reason."""


def models_of(project: Project, arguments: Sequence[str]) -> Models:
    """Compose the models that a command line names; without a name, all choices of conf/model that can be built here.

    Args:
        project: Whose `conf/` to compose.
        arguments: Choices of conf/model, such as `forest`, and overrides, such as `seed=1` or `features=plain,mine`.
    Raises:
        UsageError: An argument does not fit, there are fewer than two models, or one that is named cannot be built.
        NotFound: A choice does not exist.
    """
    names = [text for text in arguments if "=" not in text and not text.startswith("~")]
    overrides = [text for text in arguments if text not in names]
    for name in names:
        check_choice(project.conf_dir, "model", name)
    is_named = bool(names) or any(text.partition("=")[0].lstrip("+") == "model" for text in overrides)
    if not is_named:
        names = choices_of(project.conf_dir, "model")
    if names:
        overrides.insert(0, f"model={','.join(dict.fromkeys(names))}")
    found = combinations(project, overrides)
    if len(found) < 2:
        known = " ".join(choices_of(project.conf_dir, "model"))
        raise UsageError(f"one model cannot be compared: name two or more, such as `mlp compare {known}`.")
    kept, left_out = [], {}
    for combination in found:
        try:
            import_user_module(project, "model").build_model(combination.composed.config)
        except UsageError as err:
            if is_named:
                raise
            left_out[" ".join(combination.choices.values())] = str(err)
        else:
            kept.append(combination)
    if not kept:
        raise UsageError(f"no model can be built: {next(iter(left_out.values()))}")
    return Models(combinations=kept, left_out=left_out)


def compare(project: Project, settings: Settings, models: Models, *, progress: Progress = silent) -> Comparison:
    """Fit and compare, in one MLflow run with a run below it for each model. The runs have ended when this returns.

    A model that fails is in the result with its error, and the others are compared.

    Args:
        project: Whose code and table.
        settings: Name the tracking store.
        models: From `models_of`.
        progress: Shows the model that is fitted.
    Raises:
        CheckFailed: Every model failed, the models were evaluated on different rows, or there is no commit, no data
            hash or no lock.
        UsageError: The models do not use the same table, split and gate.
        ServiceError: The tracking store does not answer.
    """
    plans = _plans(project, settings, models.combinations)
    tracking.close_abandoned_runs(plans[0].registry, project.name)
    with ParentRun(plans[0], [plan.request.overrides for plan in plans]) as parent:
        rows = _Rows()
        measured: list[tuple[ModelRow, dict[str, float], Predictions]] = []
        failed: list[ModelRow] = []
        for number, (plan, combination) in enumerate(zip(plans, models.combinations, strict=True), start=1):
            label = " ".join(combination.choices.values())
            with progress(f"Fitting {label} ({number} of {len(plans)})"):
                row = ModelRow(choices=combination.choices, overrides=plan.request.overrides)
                try:
                    measured.append(_measure(plan, row, rows, parent.run_id))
                except (CheckFailed, UsageError) as err:
                    failed.append(msgspec.structs.replace(row, error=str(err)))
                except PlatformError:
                    raise
                except Exception as err:
                    where = user_frame(err)
                    said = f"{type(err).__name__}: {library_message(err, plan.config.data)}"
                    failed.append(msgspec.structs.replace(row, error=f"{where} {said}" if where else said))
        if rows.truth is None or not measured:
            raise CheckFailed(f"none of the {len(plans)} models could be compared, the first because {failed[0].error}")
        config = plans[0].config
        with progress("Comparing"):
            ranked = rank(measured, rows.truth, config.gate.metric, samples=config.gate.bootstrap_samples)
        result = Comparison(
            metric=config.gate.metric,
            data=config.data.name,
            rows=len(rows.truth),
            train_rows=rows.train,
            models=[*ranked, *failed],
            left_out=models.left_out,
            run_id=parent.run_id,
        )
        parent.log(result)
    return result


def _plans(project: Project, settings: Settings, found: Sequence[Combination]) -> list[TrainingPlan]:
    # Nothing is registered, so uncommitted changes matter to nobody else.
    first = prepare(project, settings, TrainingRequest(overrides=found[0].overrides, allow_dirty=True, registers=False))
    plans = []
    for combination in found:
        composed = combination.composed
        for group in ("data", "split", "gate"):
            if getattr(composed.config, group) != getattr(first.config, group):
                raise UsageError(
                    f"{' '.join(combination.choices.values())} has other settings of {group} than "
                    f"{' '.join(found[0].choices.values())}, and scores on different rows or by different rules cannot "
                    "be compared: set them in conf/train.yaml or for all models."
                )
        plans.append(
            dataclasses.replace(
                first,
                request=TrainingRequest(overrides=combination.overrides, allow_dirty=True),
                config=composed.config,
                config_yaml=composed.resolved_yaml,
                choices=composed.choices,
                origin=dataclasses.replace(first.origin, config_hash=text_sha256(composed.resolved_yaml)),
            )
        )
    return plans


class _Rows:
    """The table, which is read once, and the rows that every model has to be evaluated on."""

    def __init__(self) -> None:
        self._table: pd.DataFrame | None = None
        self._index: Any = None
        self.truth: Any = None
        """Targets of the held-out rows, shape (n,); None before the first model was evaluated."""
        self.train = 0
        """Number of training rows."""

    def load(self, read: Callable[[], "pd.DataFrame"]) -> "pd.DataFrame":
        if self._table is None:
            self._table = read()
        return self._table.copy()

    def check(self, parts: Split) -> None:
        test = parts.test
        if self.truth is None:
            self.truth, self._index, self.train = test.truth, test.frame.index, len(parts.train)
        elif not (self._index.equals(test.frame.index) and np.array_equal(self.truth, test.truth)):
            raise CheckFailed(
                f"it was evaluated on {len(test)} other rows than the first model, on {len(self.truth)}: pipeline.py "
                "must load and split in the same way for every model."
            )


def _measure(
    plan: TrainingPlan, row: ModelRow, rows: _Rows, parent: str
) -> tuple[ModelRow, dict[str, float], Predictions]:
    """Run the project's `pipeline.py` for one model, in a run of its own."""
    train = import_user_module(plan.project, "pipeline").train
    seen: dict[str, Any] = {}
    with tracking.open_run(plan, tags=MODEL_TAGS | {tracking.PARENT_TAG: parent}) as run_id:
        steps = bind(plan, run_id, silent)

        def load(config: "TrainConfig") -> "pd.DataFrame":
            return rows.load(lambda: steps.load(config))

        def fit(features: Any, model: Any, parts: Split, config: "TrainConfig") -> "Pipeline":
            started, cpu = time.perf_counter(), time.process_time()
            pipeline = fit_pipeline(features, model, parts, config)
            seen["fit_seconds"] = time.perf_counter() - started
            seen["fit_cpu_seconds"] = time.process_time() - cpu
            project = plan.project
            check_servable(pipeline, parts.test.frame, package=project.package, trusted_types=project.trusted_types)
            return pipeline

        def evaluate(pipeline: "Pipeline", parts: Split, config: "TrainConfig") -> "Evaluation":
            rows.check(parts)
            plain = msgspec.structs.replace(config, diagnostics=False)  # they would take longer than most fits
            seen["evaluation"] = evaluation = steps.evaluate(pipeline, parts, plain)
            seen["predictions"] = predict(pipeline, parts.test.frame)
            seen["model_bytes"] = _file_bytes(pipeline)
            return evaluation

        def gate(pipeline: "Pipeline", parts: Split, config: "TrainConfig") -> "Verdict":
            seen["verdict"] = verdict = judge_candidate(pipeline, parts, config, champion=None, best_promoted=None)
            return verdict

        def register(
            pipeline: "Pipeline", evaluation: "Evaluation", verdict: "Verdict", parts: Split, config: "TrainConfig"
        ) -> TrainingResult:
            del pipeline, parts, config
            return TrainingResult(
                name=plan.project.name,
                version="",
                run_id=run_id,
                passed=verdict.passed,
                promoted=False,
                champion_before=None,
                evaluation=evaluation,
                verdict=verdict,
            )

        train(
            plan.config,
            Steps(load=load, split=steps.split, fit=fit, evaluate=evaluate, gate=gate, register=register),
        )
        if "evaluation" not in seen or "fit_seconds" not in seen:
            raise CheckFailed("train() in pipeline.py does not call steps.fit and steps.evaluate.")
        if why := seen["evaluation"].not_computed.get(plan.config.gate.metric):
            raise CheckFailed(why)
        measured = msgspec.structs.replace(
            row,
            run_id=run_id,
            fit_seconds=seen["fit_seconds"],
            fit_cpu_seconds=seen["fit_cpu_seconds"],
            model_bytes=seen["model_bytes"],
            below=tuple(seen["verdict"].reasons) if "verdict" in seen else (),
        )
        numbers = {
            "fit_seconds": measured.fit_seconds,
            "fit_cpu_seconds": measured.fit_cpu_seconds,
            "model_bytes": measured.model_bytes,
        }
        tracking.log_numbers(plan, run_id, {name: value for name, value in numbers.items() if value is not None})
    return measured, seen["evaluation"].metrics, seen["predictions"]


def _file_bytes(pipeline: "Pipeline") -> int:
    import skops.io

    with tempfile.TemporaryDirectory(prefix="mlp-compare-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.skops"
        skops.io.dump(pipeline, path)
        return path.stat().st_size
