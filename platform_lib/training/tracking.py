"""Record a training in its MLflow run: parameters, data, metrics, and how it ended."""

import json
import os
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil

from platform_lib.data.contract import DataContract, library_message
from platform_lib.errors import PlatformError, ServiceError
from platform_lib.lineage import DIRTY_FILES_TAG
from platform_lib.names import ArtifactFile, VersionTag
from platform_lib.process_identity import still_runs
from platform_lib.registry.client import as_current_store, mlflow_errors
from platform_lib.registry.store import ARTIFACTS
from platform_lib.registry.unfinished import remove_unfinished
from platform_lib.training.documents.description import run_name
from platform_lib.training.plan import TrainingPlan

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from platform_lib.registry.versions import Registry
    from platform_lib.training.evaluation import Evaluation
    from platform_lib.training.steps import Rows, Split

EVALUATION_FILE = "evaluation.json"
PARENT_TAG = "mlflow.parentRunId"
HOST_TAG, PROCESS_TAG, STARTED_TAG, REASON_TAG = "mlp.host", "mlp.pid", "mlp.process_started", "mlp.reason"


@contextmanager
def open_run(plan: TrainingPlan, *, tags: Mapping[str, str] | None = None) -> Iterator[str]:
    """Open the run of a training, which ends as FINISHED, FAILED with a reason, or KILLED, never as RUNNING.

    It is also MLflow's active run, so that `mlflow.log_metric` in a user's step logs to it.

    Args:
        plan: What is trained.
        tags: More tags of the run.
    """
    import mlflow

    uri, client = plan.registry.uri, plan.registry.client
    with mlflow_errors(uri):
        experiment = experiment_id(plan.registry, plan.project.name, is_local=plan.is_local)
        run = client.create_run(experiment, run_name=run_name(plan.config), tags={**_run_tags(plan), **(tags or {})})
    run_id: str = run.info.run_id
    # Only during the run: MLflow sets it for the whole process, and for its children in the environment.
    with as_current_store(uri):
        try:
            with mlflow_errors(uri):
                client.log_batch(run_id, params=_params(plan))
                client.log_text(run_id, plan.config_yaml, ArtifactFile.CONFIG)
                mlflow.start_run(run_id=run_id)
            yield run_id
        except KeyboardInterrupt:
            _end(plan, run_id, "KILLED", "stopped by Ctrl-C or a signal")
            raise
        except BaseException as err:
            known = isinstance(err, PlatformError)
            message = str(err) if known else f"{type(err).__name__}: {library_message(err, plan.config.data, 5000)}"
            _end(plan, run_id, "FAILED", message, None if known else _trace(err, plan.config.data))
            raise
        _end(plan, run_id, "FINISHED", None)


def _trace(err: BaseException, contract: DataContract) -> str:
    """The traceback; without messages, which may quote values, if the contract has private columns."""
    if contract.has_private_columns:
        return "".join([*traceback.format_tb(err.__traceback__), library_message(err, contract)])
    return "".join(traceback.format_exception(err))


def experiment_id(registry: "Registry", name: str, *, is_local: bool) -> str:
    """The id of the project's experiment, which is created if necessary; a deleted one is restored."""
    from mlflow.exceptions import MlflowException

    found = registry.client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(
                registry.client.create_experiment(
                    name, artifact_location=_local_artifacts(registry, name) if is_local else None
                )
            )
        except MlflowException as err:
            if err.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = registry.client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        registry.client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _local_artifacts(registry: "Registry", name: str) -> str | None:
    """The artifact folder of a local experiment: the store's, whether it is opened as a file or through `mlp up`."""
    default = registry.client.get_experiment("0")
    root = default.artifact_location.removesuffix("/0") if default else ""
    return f"{root}/{name}" if root.startswith("file:") and root.endswith(f"/{ARTIFACTS}") else None


def log_rows(plan: TrainingPlan, run_id: str, parts: "Split") -> None:
    """Record the table that a run was trained on, by its hash in DVC."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = plan.config.data
    counts = {"train": len(parts.train), "held_out": len(parts.test), "all": len(parts.table)}
    dataset = Dataset(
        name=data.name,
        # DVC's hash of the table, so that it can be fetched again.
        digest=plan.origin.data_hash,
        source_type="local",
        source=json.dumps({"uri": data.path}),
        profile=json.dumps({"num_rows": len(parts.table), "num_columns": len(data.columns), "target": data.target}),
    )
    with mlflow_errors(plan.registry.uri):
        plan.registry.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        plan.registry.client.log_batch(
            run_id, params=as_params({f"rows.{name}": count for name, count in counts.items()})
        )


def log_trees(plan: TrainingPlan, run_id: str, boosters: "list[Any]") -> None:
    """Log the numbers of trees that early stopping chose, and of the inner rows that decided."""
    values = {
        f"{name}": sum(getattr(booster, f"n_{name}_") for booster in boosters) for name in ("trees", "inner_rows")
    }
    with mlflow_errors(plan.registry.uri):
        plan.registry.client.log_batch(run_id, params=as_params(values))


def log_evaluation(plan: TrainingPlan, run_id: str, evaluation: "Evaluation") -> None:
    """Log the metrics, and the whole evaluation as a file."""
    import msgspec

    log_numbers(plan, run_id, {name: value for name, value in evaluation.metrics.items() if value is not None})
    with mlflow_errors(plan.registry.uri):
        plan.registry.client.log_text(run_id, msgspec.json.encode(evaluation).decode(), EVALUATION_FILE)


def log_numbers(plan: TrainingPlan, run_id: str, values: Mapping[str, float]) -> None:
    """Log numbers as metrics of a run."""
    import time

    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    with mlflow_errors(plan.registry.uri):
        plan.registry.client.log_batch(
            run_id, metrics=[Metric(name, float(value), now, 0) for name, value in values.items()]
        )


def log_reference_rows(plan: TrainingPlan, run_id: str, pipeline: "Pipeline", rows: "Rows") -> None:
    """Store held-out rows with their predictions, for `mlp monitor report`."""
    import msgspec

    from platform_lib.model.artifact import predict
    from platform_lib.model.reference_rows import REFERENCE_FILE, build_reference_rows, chosen_rows

    chosen = chosen_rows(len(rows), rows.frame.shape[1])
    frame = rows.frame.iloc[chosen]
    stored = build_reference_rows(frame, predict(pipeline, frame), rows.truth[chosen], plan.config.data)
    with mlflow_errors(plan.registry.uri):
        plan.registry.client.log_text(run_id, msgspec.json.encode(stored).decode(), REFERENCE_FILE)


def read_evaluation(registry: "Registry", run_id: str) -> dict[str, Any] | None:
    """The evaluation of a run; None if it has none."""
    try:
        text = registry.run_file(run_id, EVALUATION_FILE)
    except ServiceError:
        return None
    if text is None:
        return None
    value = json.loads(text)
    return value if isinstance(value, dict) else None


def close_abandoned_runs(registry: "Registry", name: str) -> int:
    """End runs whose process on this machine has ended, after a kill -9 or a power cut. Returns how many.

    Models that such runs did not finish to register are removed.
    """
    with mlflow_errors(registry.uri):
        experiment = registry.client.get_experiment_by_name(name)
        if experiment is None:
            return 0
        open_runs = registry.client.search_runs(
            [experiment.experiment_id],
            f"attributes.status = 'RUNNING' AND tags.`{HOST_TAG}` = '{socket.gethostname()}'",
        )
        abandoned = [run for run in open_runs if not _is_alive(run.data.tags)]
        for run in abandoned:
            registry.client.set_tag(run.info.run_id, REASON_TAG, "its process ended without closing the run")
            registry.client.set_terminated(run.info.run_id, "KILLED")
        remove_unfinished(registry.client, experiment.experiment_id, name)
    return len(abandoned)


def _is_alive(tags: dict[str, str]) -> bool:
    try:
        pid, started = int(tags.get(PROCESS_TAG, "")), float(tags.get(STARTED_TAG, "nan"))
    except ValueError:
        return False
    return still_runs(pid, started, tolerance_s=2.0)


def _run_tags(plan: TrainingPlan) -> dict[str, str]:
    tags = plan.origin.tags() | {
        HOST_TAG: socket.gethostname(),
        PROCESS_TAG: str(os.getpid()),
        STARTED_TAG: repr(psutil.Process().create_time()),
        "mlflow.source.git.commit": plan.origin.git_commit,
        "mlflow.source.name": plan.project.package,
    }
    if plan.origin.dirty_files:
        tags[DIRTY_FILES_TAG] = json.dumps(plan.origin.dirty_files[:20])
    tags.pop(VersionTag.GATE, None)
    return tags


def _params(plan: TrainingPlan) -> list[Any]:
    """The flat configuration, without the columns of the contract, which are in config.yaml."""
    import msgspec

    values = msgspec.to_builtins(plan.config)
    values["data"] = {name: value for name, value in values["data"].items() if name not in ("columns", "key")}
    values.pop("search", None)
    return as_params({**{f"choice.{group}": choice for group, choice in plan.choices.items()}, **_flat(values)})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def as_params(values: dict[str, Any]) -> list[Any]:
    """The values as MLflow parameters, with names and lengths that MLflow accepts."""
    from mlflow.entities import Param

    def allowed(name: str) -> str:
        return "".join(sign if sign.isalnum() or sign in "_-./ " else "_" for sign in name)[:250]

    return [Param(allowed(name), str(value)[:6000]) for name, value in values.items()]


def _end(plan: TrainingPlan, run_id: str, status: str, reason: str | None, trace: str | None = None) -> None:
    import mlflow

    # A registry that failed during the training must not hide why the training ended.
    with suppress(Exception):
        mlflow.end_run(status)
    with suppress(ServiceError), mlflow_errors(plan.registry.uri):
        if reason:
            plan.registry.client.set_tag(run_id, REASON_TAG, reason[:5000])
        if trace:
            plan.registry.client.log_text(run_id, trace, "error.txt")
        plan.registry.client.set_terminated(run_id, status)
