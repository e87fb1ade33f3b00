"""Read and write a project's training schedule, and trigger a training now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.files import write_atomically
from platform_lib.settings import Project
from platform_lib.training.prefect.api import PrefectApi

DEPLOYMENT = "train"
SCHEDULE_FILE = "schedule.json"
_FIELDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When to train, and with which overrides."""

    cron: str
    """Five fields: minute, hour, day of the month, month, day of the week."""
    timezone: str
    """IANA name, such as `Europe/Berlin`."""
    overrides: tuple[str, ...] = ()
    """In Hydra's grammar."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Triggered:
    """A flow run that was created."""

    flow_run_id: str
    url: str


def set_schedule(project: Project, cron: str, timezone: str = "UTC", overrides: tuple[str, ...] = ()) -> Schedule:
    """Write the project's schedule, which a running runner applies within seconds.

    Raises:
        UsageError: The cron expression or the time zone is invalid.
    """
    schedule = checked(Schedule(cron=" ".join(cron.split()), timezone=timezone, overrides=tuple(overrides)))
    file = schedule_path(project)
    file.parent.mkdir(parents=True, exist_ok=True)
    values = {"cron": schedule.cron, "timezone": schedule.timezone, "overrides": list(schedule.overrides)}
    write_atomically(file, json.dumps(values))
    return schedule


def clear_schedule(project: Project) -> bool:
    """Delete the schedule; returns whether there was one."""
    file = schedule_path(project)
    there = file.is_file()
    file.unlink(missing_ok=True)
    return there


def read_schedule(project: Project) -> Schedule | None:
    """The project's schedule, or None.

    Raises:
        UsageError: The file is not a schedule.
    """
    file = schedule_path(project)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Schedule(
            cron=str(values["cron"]),
            timezone=str(values.get("timezone", "UTC")),
            overrides=tuple(map(str, values.get("overrides", []))),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise UsageError(f"{file} is not a schedule ({err}). Write it again with `mlp schedule`.") from err


def schedule_path(project: Project) -> Path:
    """The path of the schedule file."""
    return project.state_dir / SCHEDULE_FILE


def checked(schedule: Schedule) -> Schedule:
    """The schedule, if it is valid.

    Raises:
        UsageError: The cron expression or the time zone is invalid.
    """
    from platform_lib.registry.client import quiet_third_parties

    fields = schedule.cron.split()
    if len(fields) != _FIELDS and not schedule.cron.startswith("@"):  # Prefect takes a sixth field as seconds
        raise UsageError(
            f"{schedule.cron!r} has {len(fields)} field{'' if len(fields) == 1 else 's'}, expected five (minute hour "
            "day month weekday), such as '0 3 * * 1' for Mondays at 3."
        )
    quiet_third_parties()
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    except ValidationError as err:
        if any(error["loc"] == ("timezone",) for error in err.errors()):
            raise UsageError(
                f"there is no time zone {schedule.timezone!r}: expected an IANA name, such as Europe/Berlin or UTC."
            ) from err
        raise UsageError(
            f"{schedule.cron!r} is not a cron expression: expected five fields (minute hour day month weekday), such "
            "as '0 3 * * 1' for Mondays at 3."
        ) from err
    return schedule


def trigger_now(
    project: Project,
    api_url: str,
    overrides: tuple[str, ...] | None = None,
    *,
    auth: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> Triggered:
    """Create a flow run that the runner starts now.

    Args:
        project: To train.
        api_url: Of Prefect, ending in `/api`.
        overrides: None uses those of the schedule.
        auth: `user:password` for it.
        parameters: Further parameters of the flow.
        key: Calls with an equal key create one run.
    Raises:
        NotFound: No runner has served the project's deployment yet.
        ServiceError: Prefect does not answer.
    """
    from platform_lib.training.prefect.flow import run_url

    api = PrefectApi(url=api_url, auth=auth)
    deployment = api.ask("GET", f"deployments/name/{project.name}/{DEPLOYMENT}")
    if deployment is None:
        raise NotFound(
            f"Prefect at {api_url} has no deployment {project.name}/{DEPLOYMENT}: `mlp up` starts the runner that "
            "creates it."
        )
    given = dict(parameters or {}) | ({} if overrides is None else {"overrides": list(overrides)})
    run = api.ask(
        "POST",
        f"deployments/{deployment['id']}/create_flow_run",
        {"parameters": given, "state": {"type": "SCHEDULED"}} | ({} if key is None else {"idempotency_key": key}),
    )
    if run is None:
        raise ServiceError(f"Prefect at {api_url} no longer has the deployment {project.name}/{DEPLOYMENT}; try again.")
    return Triggered(flow_run_id=run["id"], url=run_url(api_url, run["id"]))
