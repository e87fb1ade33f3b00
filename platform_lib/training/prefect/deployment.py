"""The flow that a schedule starts: train a project by its folder. Imports Prefect at module level."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from platform_lib.settings import find_project, load_settings
from platform_lib.training.plan import TrainingRequest, prepare
from platform_lib.training.prefect.flow import execute_tracked, final_state
from platform_lib.training.prefect.promotion import promote_passed


@flow(name="training", persist_result=False, validate_parameters=False)  # type: ignore[untyped-decorator]
def training_flow(
    project: str,
    overrides: list[str] | None = None,
    *,
    promote: bool = True,
    promote_shared: bool = False,
    tags: dict[str, str] | None = None,
) -> Any:
    """Train once, as `mlp train` does.

    Args:
        project: Folder of the generated repository.
        overrides: In Hydra's grammar.
        promote: On a local registry, promote a version that passes the gate.
        promote_shared: Do so on any registry that allows it.
        tags: Further tags of the version, such as why it is trained.
    """
    request = TrainingRequest(overrides=tuple(overrides or ()), promote=promote, tags=tags or {})
    plan = prepare(find_project(Path(project)), load_settings(), request)
    for tag, value in request.tags.items():
        get_run_logger().info(f"{tag}: {value}")
    result = execute_tracked(plan, flow_run.id)
    return final_state(promote_passed(plan.registry, result) if promote_shared else result)
