"""Record a comparison in MLflow: one run for it, above the runs of its models."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

import msgspec
import psutil

from platform_lib.data.contract import library_message
from platform_lib.errors import PlatformError, ServiceError
from platform_lib.registry.client import mlflow_errors
from platform_lib.training import tracking
from platform_lib.training.comparison.result import Comparison
from platform_lib.training.plan import TrainingPlan

KIND_TAG, BEST_TAG, RESULT_FILE = "mlp.kind", "mlp.best_overrides", "comparison.json"
MODEL_TAGS = {KIND_TAG: "compared"}


class ParentRun:
    """The run of one comparison, which has ended when the block ends."""

    run_id: str

    def __init__(self, plan: TrainingPlan, models: Sequence[tuple[str, ...]]) -> None:
        """Prepare a run.

        Args:
            plan: Of any of the models.
            models: The overrides of each.
        """
        self._plan, self._models = plan, models

    def __enter__(self) -> "ParentRun":
        """Open the run."""
        plan, registry = self._plan, self._plan.registry
        tags = {
            KIND_TAG: "compare",
            tracking.HOST_TAG: socket.gethostname(),
            tracking.PROCESS_TAG: str(os.getpid()),
            tracking.STARTED_TAG: repr(psutil.Process().create_time()),
            "mlflow.source.name": plan.project.package,
        }
        with mlflow_errors(registry.uri):
            experiment = tracking.experiment_id(registry, plan.project.name, is_local=plan.is_local)
            self.run_id = registry.client.create_run(experiment, run_name="compare", tags=tags).info.run_id
            values = {
                "metric": plan.config.gate.metric,
                "seed": plan.config.seed,
                "data": plan.config.data.name,
                "models": "; ".join(" ".join(overrides) for overrides in self._models),
            }
            registry.client.log_batch(self.run_id, params=tracking.as_params(values))
        return self

    def log(self, result: Comparison) -> None:
        """Record the result: `comparison.json`, and the best model's overrides as a tag."""
        client = self._plan.registry.client
        with mlflow_errors(self._plan.registry.uri):
            client.log_text(self.run_id, msgspec.json.encode(result).decode(), RESULT_FILE)
            if result.best is not None:
                client.set_tag(self.run_id, BEST_TAG, " ".join(result.best.overrides))

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run as FINISHED, FAILED with the reason, or KILLED."""
        registry = self._plan.registry
        status = "FINISHED" if err is None else "KILLED" if isinstance(err, KeyboardInterrupt) else "FAILED"
        # A store that failed meanwhile must not hide why the comparison ended.
        with suppress(ServiceError), mlflow_errors(registry.uri):
            if err is not None:
                is_known = isinstance(err, PlatformError)
                said = str(err) if is_known else library_message(err, self._plan.config.data, 5000)
                registry.client.set_tag(self.run_id, tracking.REASON_TAG, said[:5000] or type(err).__name__)
            registry.client.set_terminated(self.run_id, status)
