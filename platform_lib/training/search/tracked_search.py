"""Record a search in MLflow: one run for the search, with a child run for each trial."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

from platform_lib.data.contract import library_message
from platform_lib.errors import PlatformError, ServiceError
from platform_lib.registry.client import mlflow_errors
from platform_lib.registry.loading import open_registry
from platform_lib.settings import Project, Settings, is_local_registry
from platform_lib.training import tracking
from platform_lib.training.search.sampler import Candidate
from platform_lib.training.search.search import SearchResult, Trial, all_failed, search

if TYPE_CHECKING:
    from platform_lib.registry.versions import Registry

KIND_TAG, BEST_TAG, ENDED_TAG = "mlp.kind", "mlp.best_overrides", "mlp.ended"
_STATUS = {"finished": "FINISHED", "exhausted": "FINISHED", "timeout": "FINISHED", "interrupt": "KILLED"}


def run_sweep(
    project: Project,
    settings: Settings,
    candidates: Sequence[Candidate],
    *,
    trials: int,
    timeout_s: float | None = None,
    jobs: int = 1,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> tuple[SearchResult, str]:
    """Search and record. The run of the search has ended when this returns or raises.

    Takes the arguments of `search.search`.

    Returns:
        The result and the id of the search's run.
    Raises:
        CheckFailed: Every trial failed; the run is FAILED and keeps its trials.
        ServiceError: The tracking store does not answer.
    """
    registry = open_registry(project, settings)
    tracking.close_abandoned_runs(registry, project.name)
    record = _Record(project, registry, candidates, {"trials": trials, "timeout_s": timeout_s, "jobs": jobs})

    def note(trial: Trial) -> None:
        record.log_trial(trial)
        on_trial(trial)

    try:
        result = search(project, candidates, trials=trials, timeout_s=timeout_s, jobs=jobs, on_trial=note)
        record.log_result(result)
        if result.trials and result.best is None and result.ended != "interrupt":
            raise all_failed(result)
    except BaseException as err:
        said = str(err) if isinstance(err, PlatformError) else library_message(err, candidates[0].config.data)
        record.end("KILLED" if isinstance(err, KeyboardInterrupt) else "FAILED", said or type(err).__name__)
        raise
    record.end(_STATUS[result.ended], None)
    return result, record.run_id


class _Record:
    """The runs of one search."""

    def __init__(
        self, project: Project, registry: "Registry", candidates: Sequence[Candidate], limits: dict[str, Any]
    ) -> None:
        config = candidates[0].config
        self._registry, self._metric = registry, config.gate.metric
        # Also on the trials: the next command ends those that a kill left open.
        self._tags = {
            tracking.HOST_TAG: socket.gethostname(),
            tracking.PROCESS_TAG: str(os.getpid()),
            tracking.STARTED_TAG: repr(psutil.Process().create_time()),
            "mlflow.source.name": project.package,
        }
        with mlflow_errors(registry.uri):
            self._experiment = tracking.experiment_id(
                registry, project.name, is_local=is_local_registry(project, registry.uri)
            )
            self.run_id: str = registry.client.create_run(
                self._experiment, run_name="sweep", tags={**self._tags, KIND_TAG: "sweep"}
            ).info.run_id
            values = {
                "metric": self._metric,
                "folds": config.search.folds,
                "seed": config.seed,
                "data": config.data.name,
                "candidates": "; ".join(" ".join(candidate.overrides) for candidate in candidates),
                **limits,
            }
            registry.client.log_batch(self.run_id, params=tracking.as_params(values))

    def log_trial(self, trial: Trial) -> None:
        with mlflow_errors(self._registry.uri):
            name = " ".join([*trial.choices.values(), f"try {trial.number}"])
            tags = {
                **self._tags,
                tracking.PARENT_TAG: self.run_id,
                KIND_TAG: "try",
                BEST_TAG: " ".join(trial.overrides),
            }
            if trial.error:
                tags[tracking.REASON_TAG] = trial.error[:5000]
            run = self._registry.client.create_run(self._experiment, run_name=name, tags=tags)
            self._registry.client.log_batch(
                run.info.run_id,
                metrics=self._metrics(trial, {"seconds": trial.seconds}),
                params=tracking.as_params(
                    {**trial.choices, **{f"model.params.{key}": value for key, value in trial.params.items()}}
                ),
            )
            self._registry.client.set_terminated(run.info.run_id, "FAILED" if trial.error else "FINISHED")

    def log_result(self, result: SearchResult) -> None:
        with mlflow_errors(self._registry.uri):
            self._registry.client.set_tag(self.run_id, ENDED_TAG, result.ended)
            if result.best is not None:
                self._registry.client.set_tag(self.run_id, BEST_TAG, " ".join(result.best.overrides))
                self._registry.client.log_batch(
                    self.run_id, metrics=self._metrics(result.best, {"tries": float(len(result.trials))})
                )

    def end(self, status: str, reason: str | None) -> None:
        # A store that failed meanwhile must not hide why the search ended.
        with suppress(ServiceError), mlflow_errors(self._registry.uri):
            if reason:
                self._registry.client.set_tag(self.run_id, tracking.REASON_TAG, reason[:5000])
            self._registry.client.set_terminated(self.run_id, status)

    def _metrics(self, trial: Trial, others: dict[str, float]) -> list[Any]:
        from mlflow.entities import Metric

        values = dict(others)
        if not trial.error:
            values |= {f"cv.{self._metric}": trial.mean, f"cv.{self._metric}.std": trial.deviation}
        now = int(time.time() * 1000)
        return [Metric(name, value, now, 0) for name, value in values.items()]
