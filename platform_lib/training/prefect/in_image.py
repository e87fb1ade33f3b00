"""The flows that the platform runs in a project's `train` image. Imports Prefect at module level."""

import shutil
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from platform_lib.errors import PlatformError
from platform_lib.settings import Project, find_project, load_settings
from platform_lib.training.plan import TrainingRequest, prepare
from platform_lib.training.prefect.flow import execute_tracked, final_state
from platform_lib.training.prefect.promotion import promote_passed

_IGNORED = shutil.ignore_patterns(".git", ".venv", "__pycache__")


@flow(name="training-on-platform", persist_result=False, validate_parameters=False)  # type: ignore[untyped-decorator]
def train_flow(
    overrides: list[str] | None = None,
    *,
    allow_dirty: bool = False,
    new_baseline: bool = False,
    promote: bool = True,
    promote_shared: bool = False,
    tags: dict[str, str] | None = None,
) -> Any:
    """Train the project in the working directory, as `mlp train` does.

    Args:
        overrides: In Hydra's grammar.
        allow_dirty: As in `TrainingRequest`.
        new_baseline: As in `TrainingRequest`.
        promote: As in `TrainingRequest`.
        promote_shared: Promote a version that passes the gate, if the registry allows it.
        tags: Further tags of the version, such as why it is trained.
    """
    request = TrainingRequest(
        overrides=tuple(overrides or ()),
        promote=promote,
        allow_dirty=allow_dirty,
        new_baseline=new_baseline,
        tags=tags or {},
    )
    try:
        plan = prepare(ready_project(Path.cwd(), _scratch()), load_settings(), request)
        result = execute_tracked(plan, flow_run.id)
        return final_state(promote_passed(plan.registry, result) if promote_shared else result)
    except PlatformError as err:
        return _failed(err)


@flow(name="sweep-on-platform", persist_result=False, validate_parameters=False)  # type: ignore[untyped-decorator]
def sweep_flow(overrides: list[str] | None = None, *, trials: int | None = None, timeout_s: float | None = None) -> Any:
    """Search hyperparameters of the project in the working directory, as `mlp sweep` does.

    Args:
        overrides: In Hydra's grammar; a comma-separated list of choices is searched too.
        trials: Most trials; None for `search.trials` of the configuration.
        timeout_s: Seconds after which no trial starts; None for `search.timeout_s`.
    """
    from joblib import cpu_count

    from platform_lib.training.search.search import candidates
    from platform_lib.training.search.tracked_search import run_sweep

    logger = get_run_logger()
    try:
        project = ready_project(Path.cwd(), _scratch())
        tried = candidates(project, tuple(overrides or ()))
        search = tried[0].config.search
        result, run_id = run_sweep(
            project,
            load_settings(),
            tried,
            trials=trials or search.trials,
            timeout_s=timeout_s or search.timeout_s,
            jobs=cpu_count(),
            on_trial=lambda trial: logger.info(
                f"trial {trial.number}: {trial.error or f'{tried[0].config.gate.metric} {trial.mean:.4f}'}"
            ),
        )
    except PlatformError as err:
        return _failed(err)
    if result.best is None:
        return Failed(message=f"no trial succeeded; MLflow run {run_id}")
    message = (
        f"{len(result.trials)} trials, best {result.metric} {result.best.mean:.4f}; MLflow run {run_id}. "
        f"Train the best with: mlp train --on platform {' '.join(result.best.overrides)}"
    )
    logger.info(message)
    return Completed(message=message)


def ready_project(source: Path, scratch: Path) -> Project:
    """Copy the project to where it can be written, with its table.

    The image's file system is read-only. A table that DVC tracks is fetched from its remote.

    Args:
        source: The project in the image.
        scratch: Folder to copy to; must not exist.
    Raises:
        NotFound: `source` is no project, or the remote does not have a table.
        ServiceError: The remote cannot be reached.
    """
    from platform_lib.data.dvc import pull, tracked_files

    shutil.copytree(find_project(source).root, scratch, ignore=_IGNORED)
    project = find_project(scratch)
    if any(not table.is_file() for table in tracked_files(project)):
        pull(project)
    return project


def _scratch() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="mlp-training-")) / "project"


def _failed(err: PlatformError) -> Any:
    """A failed state with the error's sentence; Prefect would log a traceback of an exception."""
    get_run_logger().error(str(err))
    return Failed(message=str(err))
