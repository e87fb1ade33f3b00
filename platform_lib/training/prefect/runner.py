"""`python -m platform_lib.training.prefect.runner`: serve a project's Prefect deployment, with its current schedule."""

import argparse
import asyncio
import contextlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_lib.errors import PlatformError, ServiceError, UsageError
from platform_lib.local_login import prefect_auth
from platform_lib.settings import Project, find_project, load_settings, prefect_api_url
from platform_lib.training.prefect.flow import configure_prefect, probe
from platform_lib.training.prefect.schedule import DEPLOYMENT, Schedule, checked, read_schedule, schedule_path

if TYPE_CHECKING:
    from prefect.runner import Runner

POLL_S = 2.0
READY_LINE = "runner: serving"
_SILENT_S = 30.0
"""Seconds without a poll of Prefect's server after which the runner is unhealthy."""


async def serve(project: Project, health_port: int | None = None) -> None:
    """Serve the deployment `<project>/train`: one training at a time, started by its schedule or manually.

    Args:
        project: To train.
        health_port: Loopback port of the health check; None for no health check.
    """
    from prefect.runner import Runner

    # The runner prefetches runs long before they start: it must not load those of an outdated schedule.
    runner = Runner(
        name=f"{project.name}-runner", query_seconds=POLL_S, prefetch_seconds=POLL_S, limit=1, pause_on_shutdown=False
    )
    await _apply(project, runner)
    if health_port is not None:
        _serve_health(runner, health_port)
    follower = asyncio.create_task(_follow(project, runner))
    print(f"{READY_LINE} {project.name}/{DEPLOYMENT}", flush=True)
    try:
        await runner.start()
    finally:
        follower.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await follower


def _serve_health(runner: "Runner", port: int) -> None:
    """Respond to every GET with 200 while the runner polls for runs, else with 503.

    Prefect's own health check has a route beside it by which any caller can stop the runner.
    """
    from datetime import UTC, datetime

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            last = runner.last_polled
            polls = last is not None and (datetime.now(UTC) - last).total_seconds() < _SILENT_S
            self.send_response(200 if polls else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


async def _follow(project: Project, runner: "Runner") -> None:
    seen: tuple[int, int] | None = _mark(project)
    while True:
        await asyncio.sleep(POLL_S)
        now = _mark(project)
        if now != seen:
            seen = now
            try:
                await _apply(project, runner)
            except Exception as err:
                # A server that does not answer for a moment must not end the runner, which tries again.
                seen = None
                print(f"runner: the schedule could not be applied: {err}", file=sys.stderr, flush=True)


async def _apply(project: Project, runner: "Runner") -> None:
    """Update the deployment to the schedule file."""
    try:
        found = read_schedule(project)
        schedule = checked(found) if found else None
    except UsageError as err:
        print(f"runner: {err}", file=sys.stderr, flush=True)
        return
    # Older versions of Prefect have one name for the synchronous and the asynchronous call.
    await getattr(runner, "aadd_deployment", runner.add_deployment)(_deployment(project, schedule))
    when = f"{schedule.cron} ({schedule.timezone})" if schedule else "no schedule, on request only"
    print(f"runner: {project.name}/{DEPLOYMENT}: {when}", flush=True)


def _deployment(project: Project, schedule: Schedule | None) -> Any:
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.deployments.runner import EntrypointType, RunnerDeployment

    from platform_lib.training.prefect.deployment import training_flow

    return RunnerDeployment.from_flow(
        training_flow.with_options(name=project.name),
        name=DEPLOYMENT,
        schedules=[CronSchedule(cron=schedule.cron, timezone=schedule.timezone)] if schedule else [],
        parameters={"project": str(project.root), "overrides": list(schedule.overrides) if schedule else []},
        entrypoint_type=EntrypointType.MODULE_PATH,
        description=f"Trains {project.name} as `mlp train` does.",
    )


def _mark(project: Project) -> tuple[int, int]:
    try:
        found = schedule_path(project).stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _wait_for_server(api_url: str, wait_s: float) -> None:
    """Wait for the server, which `mlp up` starts at the same time; slow modules are imported meanwhile."""
    import prefect.runner  # noqa: F401

    import platform_lib.training.prefect.deployment  # noqa: F401

    deadline = time.monotonic() + wait_s
    while True:
        try:
            return probe(api_url)
        except ServiceError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits with a code of `names.ExitCode`."""
    parser = argparse.ArgumentParser(prog="python -m platform_lib.training.prefect.runner", description=__doc__)
    parser.add_argument(
        "--project", type=Path, default=None, help="Folder of the generated repository; default: the working directory."
    )
    parser.add_argument(
        "--wait",
        dest="wait_s",
        type=float,
        default=0,
        help="Seconds to wait for the Prefect server to start (default: 0).",
    )
    parser.add_argument("--health-port", type=int, help="Loopback port of a health check (default: none).")
    given = parser.parse_args(arguments)
    try:
        project, settings = find_project(given.project), load_settings()
        api_url = prefect_api_url(project, settings)
        if api_url is None:
            raise ServiceError("no Prefect server is configured: set PREFECT_API_URL, or start one with `mlp up`.")
        configure_prefect(api_url, prefect_auth(project, settings), quiet=False)
        if given.wait_s > 0:
            _wait_for_server(api_url, given.wait_s)
        else:
            probe(api_url)
        asyncio.run(serve(project, given.health_port))
    except PlatformError as err:
        print(f"error: {err}", file=sys.stderr)
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
