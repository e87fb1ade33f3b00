"""What Prefect's page of a flow run shows of the training: a telling name, the verdict, and a link to MLflow."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from platform_lib.training.documents.description import run_name
from platform_lib.training.plan import TrainingPlan
from platform_lib.training.steps import TrainingResult


def name_flow_run(flow_run_id: str, plan: TrainingPlan) -> None:
    """Name a flow run after the model and the table, instead of Prefect's random words."""
    from prefect.client.orchestration import get_client

    with _not_needed(), get_client(sync_client=True) as client:
        client.update_flow_run(flow_run_id, name=run_name(plan.config))


def publish(result: TrainingResult) -> None:
    """Add the verdict, and a link to the run in MLflow, to the flow run that runs now.

    The link has no login: a browser that is logged in to MLflow opens it.
    """
    from prefect.artifacts import create_markdown_artifact

    title = f"{result.name} version {result.version}: {result.verdict.decision}"
    lines = [f"# {title}", "", result.description]
    if result.page:
        lines += ["", f"[The run in MLflow]({result.page}); `mlp status` prints links that log in."]
    if result.report and result.report.startswith("http"):
        lines += ["", f"[The report]({result.report})"]
    with _not_needed():
        create_markdown_artifact("\n".join(lines), key=_key(result.name), description=title)


def _key(name: str) -> str:
    """A key as Prefect accepts it: small letters, digits and dashes."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-verdict"


@contextmanager
def _not_needed() -> Iterator[None]:
    """Log a failure: a model that was trained must not be lost because its page was not written."""
    from prefect.logging import get_run_logger

    try:
        yield
    except Exception as err:
        get_run_logger().warning(f"Prefect did not take what its page should show: {type(err).__name__}: {err}")
