"""The flow that a schedule starts: train a project by its folder. Imports Prefect at module level."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from platform_lib.settings import find_project, load_settings
from platform_lib.training.plan import TrainingRequest, prepare
from platform_lib.training.prefect.flow import execute_tracked, final_state


@flow(name="training", persist_result=False, validate_parameters=False)  # type: ignore[untyped-decorator]
def training_flow(project: str, overrides: list[str] | None = None, *, promote: bool = True) -> Any:
    """Train once, as `mlp train` does.

    Args:
        project: Folder of the generated repository.
        overrides: In Hydra's grammar.
        promote: On a local registry, promote a version that passes the gate.
    """
    request = TrainingRequest(overrides=tuple(overrides or ()), promote=promote)
    plan = prepare(find_project(Path(project)), load_settings(), request)
    return final_state(execute_tracked(plan, flow_run.id))
