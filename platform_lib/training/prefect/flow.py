"""Train as a Prefect flow if a Prefect server is configured, else in this process, with the same result.

`deployment` has the flow that schedules start. Prefect is imported only with a server, because that takes seconds.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from platform_lib.errors import ServiceError
from platform_lib.local_login import login_link, prefect_auth
from platform_lib.names import VersionTag
from platform_lib.registry.client import quiet_third_parties
from platform_lib.settings import Project, Settings, prefect_api_url
from platform_lib.training.plan import Progress, TrainingPlan, TrainingRequest, prepare, silent
from platform_lib.training.prefect.page import name_flow_run, publish
from platform_lib.training.run import execute
from platform_lib.training.steps import Steps, TrainingResult

RETRIES = 2
RETRY_DELAY_S = 3.0
# Only steps that read a disk or call a server: a fit or a verdict that failed once fails again.
_RETRIED = ("load", "register")


def train(
    project: Project,
    settings: Settings,
    request: TrainingRequest,
    *,
    progress: Progress = silent,
    note: Callable[[str], Any] = lambda text: None,
) -> TrainingResult:
    """Train once, tracked by Prefect where a server is configured.

    Args:
        project: To train.
        settings: Name registry and Prefect server.
        request: The options.
        progress: Shows the current step.
        note: Called with where the training runs.
    Raises:
        ServiceError: A Prefect server is configured but does not answer.
        PlatformError: As `plan.prepare` and `run.execute`.
    """
    api_url = prefect_api_url(project, settings)
    if api_url is not None:
        probe(api_url)
    with progress("Composing the configuration, reaching the registry"):
        plan = prepare(project, settings, request)
    if plan.origin.dirty:
        note(
            f"Uncommitted changes ({', '.join(plan.origin.dirty_files[:3])}): the version is tagged {VersionTag.DIRTY} "
            "and cannot be reproduced."
        )
    if api_url is None:
        note("Training in this process; no Prefect server is configured.")
        return execute(plan, progress=progress)
    return _tracked(plan, api_url, prefect_auth(project, settings), progress, note)


def probe(api_url: str) -> None:
    """Check that a Prefect server answers.

    Raises:
        ServiceError: It does not answer.
    """
    import httpx

    try:
        httpx.get(f"{api_url.rstrip('/')}/health", timeout=5.0).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        raise ServiceError(
            f"the Prefect server {api_url} does not answer ({type(err).__name__}). "
            "Is it running? `mlp up` starts a local one; unset PREFECT_API_URL to train without."
        ) from err


def configure_prefect(api_url: str, auth: str | None, *, quiet: bool) -> None:
    """Set the server and the login for Prefect, before its first import in this process."""
    quiet_third_parties()
    os.environ["PREFECT_API_URL"] = api_url
    if auth:
        os.environ["PREFECT_API_AUTH_STRING"] = auth
    if quiet:
        # Its log goes to the server; this library's messages say the same on the terminal.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")


def run_url(api_url: str, flow_run_id: str) -> str:
    """The URL of a flow run in Prefect's user interface."""
    return f"{api_url.rstrip('/').removesuffix('/api')}/runs/flow-run/{flow_run_id}"


def _tracked(
    plan: TrainingPlan, api_url: str, auth: str | None, progress: Progress, note: Callable[[str], Any]
) -> TrainingResult:
    configure_prefect(api_url, auth, quiet=True)
    with progress("Starting the Prefect flow"):
        from prefect import flow
        from prefect.exceptions import PrefectException
        from prefect.runtime import flow_run

    outcome: list[TrainingResult] = []
    failure: list[Exception] = []

    def training(overrides: list[str], *, promote: bool) -> Any:
        page = login_link(plan.project, run_url(api_url, flow_run.id), "prefect")
        note(f"Training as a Prefect flow: {page}")
        try:
            outcome.append(execute_tracked(plan, flow_run.id, progress))
        except Exception as err:
            failure.append(err)
            raise
        return final_state(outcome[0])

    tracked = flow(training, name=plan.project.name, persist_result=False, validate_parameters=False)
    try:
        tracked(list(plan.request.overrides), promote=plan.request.promote, return_state=True)
    except (PrefectException, OSError) as err:
        raise ServiceError(f"the Prefect server {api_url} failed during the training: {err}") from err
    if failure:
        raise failure[0]
    if not outcome:
        raise ServiceError(
            f"the Prefect server {api_url} did not start the flow. `mlp status` shows which services of the local "
            "platform are running."
        )
    return outcome[0]


def execute_tracked(plan: TrainingPlan, flow_run_id: str, progress: Progress = silent) -> TrainingResult:
    """Train inside a running flow: every step is a task, and the lineage has the id of the flow run."""
    origin = dataclasses.replace(plan.origin, flow_run=str(flow_run_id))
    name_flow_run(str(flow_run_id), plan)
    result = execute(dataclasses.replace(plan, origin=origin), progress=progress, wrap=as_tasks)
    publish(result)
    return result


def as_tasks(steps: Steps) -> Steps:
    """The same steps, each as a Prefect task."""
    return Steps(
        **{field.name: _as_task(field.name, getattr(steps, field.name)) for field in dataclasses.fields(Steps)}
    )


def _as_task(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
    from prefect import task
    from prefect.cache_policies import NO_CACHE
    from prefect.utilities.annotations import quote

    def worth_a_retry(of: Any, run: Any, state: Any) -> bool:
        return isinstance(state.result(raise_on_failure=False), ServiceError | OSError)

    tracked = task(
        step,
        name=name,
        # Prefect neither hashes nor stores tables and pipelines: the registry stores what is needed.
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES if name in _RETRIED else 0,
        retry_delay_seconds=RETRY_DELAY_S,
        retry_condition_fn=worth_a_retry if name in _RETRIED else None,
    )

    def call(*args: Any, **named: Any) -> Any:
        # `quote` keeps Prefect from traversing every table and estimator in the arguments.
        return tracked(*(quote(arg) for arg in args), **{key: quote(value) for key, value in named.items()})

    return call


def final_state(result: TrainingResult) -> Any:
    """The final state of a flow run: completed, with the name Refused or Cannot tell if the version did not pass."""
    from prefect.logging import get_run_logger
    from prefect.states import Completed

    said, decision = "; ".join(result.verdict.reasons), result.verdict.decision
    if result.passed:
        message = f"{result.name} version {result.version} passed the gate" + (
            " and is the champion" if result.promoted else ""
        )
    elif decision == "cannot tell":
        message = f"the gate cannot tell whether {result.name} version {result.version} is worse: {said}"
    else:
        message = f"the gate refused {result.name} version {result.version}: {said}"
    get_run_logger().info(message)
    return Completed(name="Completed" if result.passed else decision.capitalize(), message=message)
