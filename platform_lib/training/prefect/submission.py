"""Start a project's flows on the platform: check its work pool, create the deployment, create the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from platform_lib.errors import ServiceError, UsageError
from platform_lib.training.prefect.api import PrefectApi
from platform_lib.training.prefect.schedule import DEPLOYMENT, Schedule

_FLOWS = "platform_lib.training.prefect.in_image"


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkPool:
    """A work pool that can run an image."""

    name: str
    variables: Mapping[str, Any]
    """What a deployment may set, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """One of the flows in `in_image`, and how the platform runs it."""

    name: str
    flow: str
    """Name of the function."""
    parameters: Mapping[str, Any]
    job_variables: Mapping[str, Any]
    """With the `image`."""
    schedule: Schedule | None = None


def usable_pool(api: PrefectApi, wanted: str | None = None) -> WorkPool:
    """Return a work pool whose worker is running now.

    Args:
        api: The team's Prefect.
        wanted: Name of the pool; None takes the only one.
    Raises:
        UsageError: There are several pools, and none was named.
        ServiceError: Runs would not start: no such pool, or it is paused, runs no images or has no worker.
    """
    pools: list[dict[str, Any]] = api.ask("POST", "work_pools/filter", {}) or []
    names = ", ".join(sorted(pool["name"] for pool in pools))
    if wanted is None and len(pools) > 1:
        raise UsageError(f"this Prefect has the work pools {names}: choose one with --pool.")
    found = next((pool for pool in pools if wanted in (None, pool["name"])), None)
    if found is None:
        raise ServiceError(
            f"Prefect has no work pool{f' {wanted}, only {names}' if wanted and names else ''}, so nothing would run "
            f"the training. {_WORKER_REMEDY}"
        )
    name, template = str(found["name"]), found.get("base_job_template") or {}
    variables = (template.get("variables") or {}).get("properties") or {}
    if "image" not in variables:
        raise ServiceError(
            f"the work pool {name} (type {found['type']}) does not run images. Use the pool of the team's Kubernetes "
            "worker."
        )
    if found.get("is_paused"):
        raise ServiceError(
            f"the work pool {name} is paused, so the training would not start: `prefect work-pool resume {name}`."
        )
    workers: list[dict[str, Any]] = api.ask("POST", f"work_pools/{name}/workers/filter", {}) or []
    if not any(worker.get("status") == "ONLINE" for worker in workers):
        last = max((str(worker["last_heartbeat_time"]) for worker in workers), default="")
        seen = f"the last one was seen at {last[:16].replace('T', ' ')} UTC" if last else "there never was one"
        raise ServiceError(
            f"no worker of the work pool {name} is running ({seen}), so nothing would run the training. "
            f"{_WORKER_REMEDY}"
        )
    return WorkPool(name=name, variables=variables)


_WORKER_REMEDY = "Ask the platform's engineers; `mlp platform check` shows what is wrong."


def put_deployment(api: PrefectApi, model: str, pool: WorkPool, deployment: Deployment) -> str:
    """Create or replace a deployment of the flow `model`, and return its id.

    Raises:
        ServiceError: Prefect refuses it, for instance because a job variable has the wrong type.
    """
    flow = api.ask("POST", "flows/", {"name": model})
    planned = deployment.schedule
    schedules = [] if planned is None else [_scheduled(planned)]
    body = {
        "name": deployment.name,
        "flow_id": flow["id"],
        "work_pool_name": pool.name,
        "entrypoint": f"{_FLOWS}.{deployment.flow}",
        "parameters": dict(deployment.parameters),
        "job_variables": dict(deployment.job_variables),
        "schedules": schedules,
        "enforce_parameter_schema": False,
    }
    made = api.ask("POST", "deployments/", body)
    return str(made["id"])


def _scheduled(schedule: Schedule) -> dict[str, Any]:
    return {"schedule": {"cron": schedule.cron, "timezone": schedule.timezone}, "active": True}


def start_run(api: PrefectApi, deployment_id: str, name: str) -> str:
    """Create a run of a deployment that starts now, and return its id.

    Raises:
        ServiceError: Prefect does not answer, or the deployment is gone.
    """
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": datetime.now(UTC).isoformat()}}
    made = api.ask("POST", f"deployments/{deployment_id}/create_flow_run", {"name": name, "state": state})
    if made is None:
        raise ServiceError("somebody deleted the deployment from Prefect at the same time; try again.")
    return str(made["id"])


def scheduled_deployment(api: PrefectApi, model: str) -> dict[str, Any] | None:
    """Return Prefect's record of the scheduled deployment; None if there is none."""
    found: dict[str, Any] | None = api.ask("GET", f"deployments/name/{model}/{DEPLOYMENT}")
    return found


def schedule_of(deployment: Mapping[str, Any]) -> Schedule | None:
    """Return the schedule of Prefect's record of a deployment; None if it has none that is active."""
    active: Sequence[Mapping[str, Any]] = [one for one in deployment.get("schedules", ()) if one.get("active")]
    if not active or "cron" not in active[0]["schedule"]:
        return None
    found = active[0]["schedule"]
    overrides = tuple((deployment.get("parameters") or {}).get("overrides") or ())
    return Schedule(cron=found["cron"], timezone=found.get("timezone") or "UTC", overrides=overrides)


def delete_schedule(api: PrefectApi, model: str) -> bool:
    """Delete the scheduled deployment; returns whether there was one."""
    found = scheduled_deployment(api, model)
    if found is not None:
        api.ask("DELETE", f"deployments/{found['id']}")
    return found is not None


def require_runner(api: PrefectApi, model: str) -> None:
    """Check that a runner of the model runs now, so that a schedule would start something.

    Raises:
        ServiceError: No runner serves it.
    """
    found = api.ask("GET", f"deployments/name/{model}/{DEPLOYMENT}")
    remedy = "`mlp schedule --on platform` lets the platform's worker train."
    if found is None or found.get("work_pool_name"):
        raise ServiceError(
            f"Prefect at {api.url} has no runner of {model}, so a schedule would start nothing. {remedy}"
        )
    if found.get("status") != "READY":
        raise ServiceError(f"the runner of {model} does not ask Prefect at {api.url} for runs any more. {remedy}")
