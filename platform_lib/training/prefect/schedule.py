"""When a project trains by itself: the file that says so, and a training at once. `runner` reads the file and serves the deployment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.files import write_atomically
from platform_lib.settings import Project

DEPLOYMENT = "train"
SCHEDULE_FILE = "schedule.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When to train, and with what."""

    cron: str
    """Five fields: minute, hour, day of the month, month, day of the week."""
    timezone: str
    """IANA name, such as `Europe/Berlin`."""
    overrides: tuple[str, ...] = ()
    """Hydra's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Triggered:
    """A flow run that was asked for."""

    flow_run_id: str
    url: str


def set_schedule(project: Project, cron: str, timezone: str = "UTC", overrides: tuple[str, ...] = ()) -> Schedule:
    """Write the project's schedule; a running runner follows within seconds.

    Raises:
        UsageError: Not a cron expression, or no such time zone.
    """
    schedule = checked(Schedule(cron=" ".join(cron.split()), timezone=timezone, overrides=tuple(overrides)))
    file = schedule_path(project)
    file.parent.mkdir(parents=True, exist_ok=True)
    values = {"cron": schedule.cron, "timezone": schedule.timezone, "overrides": list(schedule.overrides)}
    write_atomically(file, json.dumps(values))
    return schedule


def clear_schedule(project: Project) -> bool:
    """Take the schedule away; False where there was none."""
    file = schedule_path(project)
    there = file.is_file()
    file.unlink(missing_ok=True)
    return there


def read_schedule(project: Project) -> Schedule | None:
    """The project's schedule, None where it has none.

    Raises:
        UsageError: The file is not what `set_schedule` writes.
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
        raise UsageError(f"{file} is not a schedule ({err}). Write it anew with `mlp schedule`.") from err


def schedule_path(project: Project) -> Path:
    """The file that holds the schedule."""
    return project.state_dir / SCHEDULE_FILE


def checked(schedule: Schedule) -> Schedule:
    """The schedule, if Prefect can follow it.

    Raises:
        UsageError: Not a cron expression, or no such time zone.
    """
    from platform_lib.registry.client import quiet_third_parties

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
            f"{schedule.cron!r} is not a cron expression: expected five fields (minute hour day month weekday), such as '0 3 * * 1' for Mondays at 3."
        ) from err
    return schedule


def trigger_now(project: Project, api_url: str, overrides: tuple[str, ...] | None = None) -> Triggered:
    """Ask the runner for a training at once.

    Args:
        api_url: Prefect's, ending in `/api`.
        overrides: None takes the schedule's.
    Raises:
        NotFound: No runner has served this project's deployment yet.
        ServiceError: Prefect does not answer.
    """
    from platform_lib.training.prefect.flow import run_url

    deployment = _ask("GET", f"{api_url}/deployments/name/{project.name}/{DEPLOYMENT}", None)
    if deployment is None:
        raise NotFound(
            f"Prefect at {api_url} has no deployment {project.name}/{DEPLOYMENT}: `mlp up` starts the runner that makes it."
        )
    parameters: dict[str, Any] = {} if overrides is None else {"overrides": list(overrides)}
    run = _ask(
        "POST",
        f"{api_url}/deployments/{deployment['id']}/create_flow_run",
        {"parameters": parameters, "state": {"type": "SCHEDULED"}},
    )
    if run is None:
        raise ServiceError(f"Prefect at {api_url} lost the deployment {project.name}/{DEPLOYMENT} just now; try again.")
    return Triggered(flow_run_id=run["id"], url=run_url(api_url, run["id"]))


def _ask(method: str, url: str, body: dict[str, Any] | None) -> dict[str, Any] | None:
    import httpx

    try:
        answer = httpx.request(method, url, json=body, timeout=15.0)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        raise ServiceError(
            f"Prefect does not answer as expected at {url}: {err}. `mlp status` says what of the local platform runs."
        ) from err
    found: dict[str, Any] = answer.json()
    return found
