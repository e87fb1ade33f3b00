"""Train a candidate in a CI runner, and compare it with the team's champion without registering it for the team."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from platform_lib.data.dataset import NOTHING_SELECTED, dataset_path, find_contract, selected_name
from platform_lib.errors import UsageError
from platform_lib.registry.loading import open_registry
from platform_lib.registry.reference import parse_reference
from platform_lib.report import REPORT_FILE
from platform_lib.settings import Project, Settings, is_local_registry
from platform_lib.training.inspection import Inspected, inspect_version
from platform_lib.training.plan import Progress, TrainingRequest, silent
from platform_lib.training.steps import TrainingResult

THRESHOLDS_ONLY = "Judged by thresholds only"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A model that a CI runner trained, in the runner's own registry."""

    result: TrainingResult
    version: Inspected
    compared_with: str
    """What it was compared with, as a sentence."""
    report: str | None
    """The report as HTML; None if the training could not store one."""


def why_no_training(project: Project) -> str | None:
    """Why this runner cannot train, as a sentence; None if the selected table is there.

    Raises:
        UsageError: conf/train.yaml or the data contract cannot be read.
        NotFound: conf/train.yaml selects a table without a contract, or one that is neither here nor tracked by DVC.
    """
    if selected_name(project) is None:
        return f"Not trained: {NOTHING_SELECTED}"
    contract = find_contract(project)
    if (project.root / f"{contract.path}.dvc").is_file() and not (project.root / contract.path).is_file():
        return (
            f"Not trained: DVC stores the table {contract.name!r}, and this runner did not fetch it. If CI can reach "
            "DVC's storage, set the variable MLP_DATA_IN_CI to true."
        )
    dataset_path(project, contract)
    return None


def train_candidate(
    project: Project,
    settings: Settings,
    overrides: tuple[str, ...] = (),
    *,
    register: bool = False,
    progress: Progress = silent,
    note: Callable[[str], Any] = lambda text: None,
) -> Candidate:
    """Train into the runner's own registry, and let the gate compare with the champion of the team's registry.

    Args:
        project: To train.
        settings: Name the team's registry; without one, only the thresholds decide.
        overrides: Of the configuration.
        register: Register the version in the team's registry, as `mlp train` does, instead of in the runner's own.
        progress: Shows the current step.
        note: Called with where the training runs.
    Raises:
        UsageError: `register` without a team's registry.
        ServiceError: The team's registry does not answer.
        PlatformError: As `training.prefect.flow.train`.
    """
    from platform_lib.training.prefect.flow import train

    team = settings.tracking_uri
    if team is not None and is_local_registry(project, team):
        team = None
    if register and team is None:
        raise UsageError("--register needs the team's registry: set MLFLOW_TRACKING_URI, or use `mlp tunnel`.")
    used = settings if register else dataclasses.replace(settings, tracking_uri=None, prefect_api_url=None)
    request = TrainingRequest(overrides=overrides, promote=False, champion_registry=None if register else team)
    result = train(project, used, request, progress=progress, note=note)
    registry = open_registry(project, used)
    record = registry.resolve(parse_reference(f"{result.name}/{result.version}", project.name))
    return Candidate(
        result=result,
        version=inspect_version(registry, record),
        compared_with=_compared_with(result, team),
        report=registry.run_file(result.run_id, REPORT_FILE),
    )


def _compared_with(result: TrainingResult, team: str | None) -> str:
    if result.champion_before is not None:
        return f"Compared with the team's champion, version {result.champion_before}, on the same held-out rows."
    if team is not None:
        return f"{THRESHOLDS_ONLY}: the team's registry has no champion yet."
    return (
        f"{THRESHOLDS_ONLY}: this runner knows no shared registry, so there was no champion to compare with. "
        "Set MLFLOW_TRACKING_URI to the team's."
    )
