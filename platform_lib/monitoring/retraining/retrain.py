"""The way back from monitoring to training: why to retrain, and a training that carries the reason."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from platform_lib.errors import CheckFailed, NotFound, ServiceError
from platform_lib.local_login import prefect_auth
from platform_lib.monitoring.config import MonitorConfig, read_monitor_config
from platform_lib.monitoring.windows import parse_duration
from platform_lib.names import ExitCode, VersionTag
from platform_lib.settings import Project, Settings, prefect_api_url
from platform_lib.training.plan import Progress, TrainingRequest, silent

if TYPE_CHECKING:
    from platform_lib.training.steps import TrainingResult

Cause = Literal["drift", "live-score", "schedule", "new-data", "person"]
LOG = ".mlp/log"
"""Where a project's own servers write the request log."""
_LONGEST_TAG = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why to retrain."""

    text: str
    """In a sentence."""
    cause: Cause = "person"
    window: str = ""
    """The period that it is about, such as `24h`; empty if none."""
    alert: str = ""
    """Name of the alert, and when it began; empty without one."""

    def tags(self) -> dict[str, str]:
        """Convert to tags of a model version."""
        tags = {
            VersionTag.RETRAIN_REASON: f"{self.cause}: {self.text}",
            VersionTag.RETRAIN_WINDOW: self.window,
            VersionTag.RETRAIN_ALERT: self.alert,
        }
        return {name: value[:_LONGEST_TAG] for name, value in tags.items() if value}


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A retraining that was started."""

    outcome: str
    """What is known of it, in a sentence."""
    url: str = ""
    """Of the run in Prefect; empty without Prefect."""


def retrain(
    project: Project,
    settings: Settings,
    reason: Reason,
    *,
    overrides: Sequence[str] = (),
    log: str = LOG,
    progress: Progress = silent,
    note: Callable[[str], Any] = lambda text: None,
) -> "TrainingResult":
    """Append new rows if `conf/monitor.yaml` says so, train, and promote what passed the gate if it says that.

    Args:
        project: To train.
        settings: Name registry and Prefect server.
        reason: Why; becomes tags of the version.
        overrides: Of the configuration, in Hydra's grammar.
        log: Request log with the new rows: a folder relative to the project, or s3://bucket/prefix.
        progress: Shows the current step.
        note: Called with what was done on the way.
    Raises:
        PlatformError: As `training.prefect.flow.train`, or the new rows do not fit the contract.
    """
    from platform_lib.registry.loading import open_registry
    from platform_lib.training.prefect.flow import train
    from platform_lib.training.prefect.promotion import promote_passed

    config = read_monitor_config(project)
    append_new_rows(project, config, log, progress=progress, note=note)
    is_auto = config.promote == "auto"
    request = TrainingRequest(overrides=tuple(overrides), promote=is_auto, tags=reason.tags())
    result = train(project, settings, request, progress=progress, note=note)
    return promote_passed(open_registry(project, settings), result) if is_auto else result


def append_new_rows(
    project: Project,
    config: MonitorConfig,
    log: str,
    *,
    progress: Progress = silent,
    note: Callable[[str], Any] = lambda text: None,
) -> int:
    """Append the labelled rows of the period `new_rows` to the selected table.

    Returns:
        Number of rows; 0 if `new_rows` is empty or the log has none.
    Raises:
        UsageError: The rows do not fit the table; see `plan_from_log`.
    """
    if not config.new_rows:
        return 0
    from platform_lib.data.dataset import find_contract
    from platform_lib.data.imports import staging
    from platform_lib.monitoring.retraining.from_log import plan_from_log
    from platform_lib.serving.request_log.files import LogFolder

    contract = find_contract(project)
    place = log if "://" in log else str(project.root / log)
    with progress(f"Taking new rows from {log}"):
        try:
            since = datetime.now(UTC) - parse_duration(config.new_rows)
            found = plan_from_log(project, contract, LogFolder.at(place), config, since=since)
        except NotFound as err:
            note(f"No new rows: {err}")
            return 0
        if found.plan is not None:
            staging.check_destination(project, contract.name)
            staging.write_import(project, found.plan.contract, found.plan.table)
    note(f"{found.added} labelled rows of the request log appended to the table {contract.name!r}.")
    return found.added


def start(project: Project, settings: Settings, reason: Reason, key: str, *, log: str = LOG) -> Started:
    """Start a retraining: through Prefect where a server is configured, else as `mlp retrain`, which is waited for.

    Args:
        project: To train.
        settings: Name registry and Prefect server.
        reason: Why.
        key: Calls with an equal key start one Prefect run.
        log: As for `retrain`.
    Raises:
        ServiceError: Prefect does not answer, or `mlp retrain` needed a service that did not; try again later.
        CheckFailed: `mlp retrain` ended with an error that trying again does not mend.
        NotFound: Prefect does not have the project's deployment.
    """
    from platform_lib.training.prefect.schedule import trigger_now

    api_url = prefect_api_url(project, settings)
    if api_url is None:
        return _start_here(project, reason, log)
    config = read_monitor_config(project)
    append_new_rows(project, config, log)
    is_auto = config.promote == "auto"
    triggered = trigger_now(
        project,
        api_url,
        auth=prefect_auth(project, settings),
        parameters={"tags": reason.tags(), "promote": is_auto, "promote_shared": is_auto},
        key=key,
    )
    return Started(outcome=f"Prefect runs it: {triggered.url}", url=triggered.url)


def _start_here(project: Project, reason: Reason, log: str) -> Started:
    command = [sys.executable, "-m", "platform_lib.cli", "retrain", "--reason", reason.text, "--because", reason.cause]
    command += ["--window", reason.window, "--alert", reason.alert, "--log", log]
    done = subprocess.run(
        command, cwd=project.root, env=dict(os.environ), capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    said = (done.stderr if done.returncode > ExitCode.REFUSED else done.stdout).strip().splitlines() or [""]
    if done.returncode == ExitCode.SERVICE:
        raise ServiceError(said[-1].removeprefix("error: "))
    if done.returncode not in (ExitCode.OK, ExitCode.REFUSED):
        raise CheckFailed(f"`mlp retrain` ended with exit code {done.returncode}: {said[-1].removeprefix('error: ')}")
    passed = done.returncode == ExitCode.OK
    return Started(outcome="the new version passed the gate" if passed else "the gate refused the new version")
