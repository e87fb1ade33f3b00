"""The flow that a schedule starts: a training of a project by its folder. Imports Prefect, so only `runner` and Prefect itself import it."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from platform_lib.settings import find_project, load_settings
from platform_lib.training.plan import TrainingRequest, prepare
from platform_lib.training.prefect.flow import execute_tracked, final_state


@flow(name="training", persist_result=False, validate_parameters=False)  # type: ignore[untyped-decorator]
def training_flow(project: str, overrides: list[str] | None = None, promote: bool = True) -> Any:
    """Train once, as `mlp train` does.

    Args:
        project: Folder of the generated repository.
        overrides: Hydra's.
        promote: Make a version that passes the champion, on a local registry.
    """
    request = TrainingRequest(overrides=tuple(overrides or ()), promote=promote)
    plan = prepare(find_project(Path(project)), load_settings(), request)
    return final_state(execute_tracked(plan, flow_run.id))
