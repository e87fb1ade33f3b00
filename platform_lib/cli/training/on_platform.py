"""What `mlp train`, `mlp sweep` and `mlp schedule` share with `--on platform`: options, connection, image, progress."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from platform_lib.errors import ServiceError, UsageError
from platform_lib.names import Env

if TYPE_CHECKING:
    from platform_lib.settings import Project, Settings
    from platform_lib.training.prefect.api import PrefectApi
    from platform_lib.training.prefect.following import LogLine, RunState
    from platform_lib.training.prefect.submission import WorkPool

INTERRUPTED = 130
_REMEDY = "`mlp platform check` shows what is wrong."


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where to train, as given on the command line."""

    on: str | None
    image: str | None
    repository: str | None
    pool: str | None

    @property
    def is_platform(self) -> bool:
        """Whether to train on the platform."""
        return self.on is not None


def platform_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `--on platform`; the command gets them as `on`, `image`, `repository` and `pool`."""
    options = (
        click.option("--on", type=click.Choice(["platform"]), help="Train in the team's work pool on the platform."),
        click.option(
            "--image",
            help="The project's image `train`, NAME:TAG or NAME@sha256:…, instead of building one; with --on platform.",
        ),
        click.option(
            "--repository",
            help="Repository to push the built image to, without a tag; with --on platform (MLP_IMAGE_REPOSITORY).",
        ),
        click.option("--pool", help="Work pool; with --on platform.  [default: the only one]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def place_of(on: str | None, image: str | None, repository: str | None, pool: str | None) -> Place:
    """Return the options, checked against each other.

    Raises:
        UsageError: One of the others was given without --on platform, or there is neither an image nor a repository.
    """
    if on is None:
        given = [name for name, value in (("image", image), ("repository", repository), ("pool", pool)) if value]
        if given:
            raise UsageError(f"--{given[0]} needs --on platform.")
    return Place(on=on, image=image, repository=repository or os.environ.get(Env.IMAGE_REPOSITORY), pool=pool)


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """The team's Prefect, reached."""

    api: "PrefectApi"
    pages: str
    """Address of Prefect's pages."""

    def run_url(self, run_id: str) -> str:
        """Address of the page of a run."""
        from platform_lib.training.prefect.flow import run_url

        return run_url(self.pages, run_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A run on the platform that completed."""

    run_id: str
    url: str
    state: "RunState"

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "flow_run_id": self.run_id,
            "url": self.url,
            "state": self.state.name,
            "message": self.state.message,
        }


@contextmanager
def reached(project: "Project", settings: "Settings") -> Iterator[Platform]:
    """Reach the team's Prefect: the one of PREFECT_API_URL, else through a port that kubectl forwards.

    Raises:
        UsageError: No namespace is set, or kubectl is missing.
        ServiceError: The cluster or Prefect does not answer.
    """
    from platform_lib.local_login import prefect_auth
    from platform_lib.training.prefect.api import PrefectApi

    if settings.prefect_api_url:
        url = settings.prefect_api_url
        api = PrefectApi(url=url, auth=prefect_auth(project, settings), remedy=_REMEDY)
        yield Platform(api=api, pages=os.environ.get("PREFECT_UI_URL") or url)
        return
    from platform_lib.operations.kubectl import Kubectl
    from platform_lib.operations.settings import deploy_setting
    from platform_lib.operations.tunnel import tunnel

    kubectl = Kubectl(deploy_setting("context"))
    namespace = deploy_setting("namespace") or kubectl.current_namespace()
    if not namespace:
        raise UsageError(
            "no namespace of a platform is set: `mlp tunnel --namespace team-red -- mlp train --on platform`, or set "
            "it in deploy/ or in the kubeconfig context."
        )
    with tunnel(kubectl, namespace, say=_note) as variables:
        api = PrefectApi(url=variables["PREFECT_API_URL"], auth=variables["PREFECT_API_AUTH_STRING"], remedy=_REMEDY)
        yield Platform(api=api, pages=variables["PREFECT_UI_URL"])


def run_on_platform(
    project: "Project", settings: "Settings", place: Place, flow: str, parameters: Mapping[str, Any]
) -> Ran:
    """Run a flow of the project on the platform and follow it to its end.

    Args:
        project: To train.
        settings: Name the team's Prefect, if it is reached already.
        place: The options.
        flow: Name of the function in `training.prefect.in_image`.
        parameters: Of the flow; `overrides` must compose.
    Raises:
        UsageError: The configuration does not compose, or there is no image.
        ServiceError: Nothing could run it, or the run failed, crashed or was cancelled.
    """
    from platform_lib.training.prefect.submission import Deployment, put_deployment, start_run, usable_pool

    with reached(project, settings) as platform:
        pool = usable_pool(platform.api, place.pool)
        name = flow.removesuffix("_flow")
        # Deployments of their own: `train` belongs to the schedule, and keeps its image.
        deployment = Deployment(
            name=f"{name}-now", flow=flow, parameters=parameters, job_variables=job_of(project, place, pool)
        )
        made = put_deployment(platform.api, project.name, pool, deployment)
        run_id = start_run(platform.api, made, f"{name} {' '.join(parameters['overrides'])}".strip())
        url = platform.run_url(run_id)
        _note(f"On the platform: {url}")
        return Ran(run_id=run_id, url=url, state=follow_run(platform, run_id))


def job_of(project: "Project", place: Place, pool: "WorkPool") -> dict[str, Any]:
    """Return the job variables of a run: the image by digest, and the settings of conf/platform.yaml.

    Raises:
        UsageError: There is neither an image nor a repository, or a setting is invalid.
        NotFound: The registry has no such tag.
        ServiceError: The registry does not answer, or the build failed.
    """
    from platform_lib.training.prefect.job_settings import job_variables, read_job_settings

    variables = job_variables(read_job_settings(project), pool.variables)
    return {**variables, "image": _image(project, place)}


def _image(project: "Project", place: Place) -> str:
    from platform_lib.operations.image_registry import pinned

    if place.image:
        found = pinned(place.image)
        _note(f"Image: {found}")
        return found
    if not place.repository:
        raise UsageError(
            f"no image to train with: give one with --image, or a repository to push a new one to with --repository "
            f"or {Env.IMAGE_REPOSITORY}."
        )
    from platform_lib.image.context import write_context
    from platform_lib.operations.images import build_and_push, find_builder
    from platform_lib.operations.revision import image_tag

    builder = find_builder()
    build_args = {"PYTHON": write_context(project).python}
    tag = f"train-{image_tag(project.root)}"
    return build_and_push(
        builder, project.root, place.repository, tag, target="train", build_args=build_args, say=_note
    )


def follow_run(platform: Platform, run_id: str) -> "RunState":
    """Show the log and the progress of a run until it ends; Ctrl-C offers to cancel it.

    Raises:
        ServiceError: The run failed, crashed or was cancelled.
        SystemExit: Ctrl-C; the code is 130.
    """
    from platform_lib.training.prefect.following import follow

    try:
        with _progress() as (on_line, on_state):
            state = follow(platform.api, run_id, on_line=on_line, on_state=on_state)
    except KeyboardInterrupt:
        _offer_to_cancel(platform, run_id)
        raise SystemExit(INTERRUPTED) from None
    if state.type != "COMPLETED":
        raise ServiceError(failure(state, platform.run_url(run_id)))
    return state


def failure(state: "RunState", url: str) -> str:
    """Say in a sentence why a run did not complete."""
    what = {"CANCELLED": "was cancelled", "CRASHED": "crashed"}.get(state.type, "failed")
    reasons = [text.rstrip(".") for text in dict.fromkeys((state.message, state.reason)) if text]
    why = f": {'. '.join(reasons)}" if reasons else ""
    return f"the run on the platform {what}{why}. Its log: {url}"


def _offer_to_cancel(platform: Platform, run_id: str) -> None:
    from platform_lib.training.prefect.following import cancel

    how = f"mlp tunnel -- prefect flow-run cancel {run_id}"
    if sys.stdin.isatty() and sys.stderr.isatty() and click.confirm("Cancel the run on the platform?", err=True):
        cancel(platform.api, run_id)
        _note("Prefect cancels the run.")
    else:
        _note(f"The run goes on: {platform.run_url(run_id)}\nTo cancel it: {how}")


@contextmanager
def _progress() -> Iterator[tuple[Callable[["LogLine"], None], Callable[["RunState", str], None]]]:
    """Show lines of the log, and the state: a progress line on a terminal, else one line per change."""
    from platform_lib.cli.console import stderr

    console, began = stderr(), time.monotonic()

    def on_line(line: "LogLine") -> None:
        console.print(f"{line.time[11:19]}  {line.text}")

    if not console.is_terminal:
        seen: list[str] = []

        def on_change(state: "RunState", step: str) -> None:
            text = progress_text(state, step)
            if seen[-1:] != [text]:
                seen.append(text)
                console.print(text)

        yield on_line, on_change
        return
    with console.status("Submitted") as status:
        yield (
            on_line,
            lambda state, step: status.update(f"{progress_text(state, step)}, {time.monotonic() - began:.0f} s"),
        )


def progress_text(state: "RunState", step: str) -> str:
    """Say what a run is doing now."""
    if state.type == "RUNNING":
        return f"Running, step {step}" if step else "Running"
    if state.type == "SCHEDULED":
        return "Waiting for the worker"
    if state.type == "PENDING":
        return "Waiting for the pod"
    return state.name


def _note(line: str) -> None:
    click.echo(line.rstrip("\n"), err=True)
