"""Create or update a team's work pool, run inside Prefect's official image before the worker starts.

The pool gets its base job template, and an automation that fails runs whose pod does not start in time. Does not import
`platform_lib`.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any


def pending_automation(pool: str, limit_s: int) -> dict[str, Any]:
    """Return the automation that fails a run which stays pending longer than the limit."""
    return {
        "name": f"{pool}: runs that do not start",
        "description": "Created by the platform; changes are reverted when the worker starts.",
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": {"prefect.resource.role": "work-pool", "prefect.resource.name": pool},
            "after": ["prefect.flow-run.Pending"],
            "expect": [
                "prefect.flow-run.Running",
                "prefect.flow-run.Completed",
                "prefect.flow-run.Failed",
                "prefect.flow-run.Crashed",
            ],
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": limit_s,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "FAILED",
                "name": "NeverStarted",
                "message": f"The pod did not start within {limit_s} s. The run's log shows the reason, "
                "such as no node with enough resources or an image that cannot be pulled.",
            }
        ],
    }


async def keep(pool: str, template: dict[str, Any], limit_s: int) -> None:
    """Create or update the pool and its automation."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.events.schemas.automations import AutomationCore
    from prefect.exceptions import ObjectNotFound

    async with get_client() as client:
        try:
            await client.read_work_pool(pool)
            await client.update_work_pool(pool, WorkPoolUpdate(base_job_template=template))
        except ObjectNotFound:
            await client.create_work_pool(WorkPoolCreate(name=pool, type="kubernetes", base_job_template=template))
        wanted = AutomationCore.model_validate(pending_automation(pool, limit_s))
        there = await client.read_automations_by_name(wanted.name)
        if there:
            await client.update_automation(there[0].id, wanted)
        else:
            await client.create_automation(wanted)


if __name__ == "__main__":
    text = Path(os.environ["MLP_JOB_TEMPLATE"]).read_text(encoding="utf-8")
    asyncio.run(keep(os.environ["MLP_WORK_POOL"], json.loads(text), int(os.environ["MLP_PENDING_LIMIT_S"])))
