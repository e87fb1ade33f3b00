"""`mlp up`: start the local platform and print its addresses."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from platform_lib.cli.groups import json_option
from platform_lib.names import Port
from platform_lib.settings import find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.local_platform.startup import Outcome, Progress

_PORT = click.IntRange(1, 65535)


@click.command(epilog="Example: mlp up --auto-ports")
@click.option("--mlflow-port", type=_PORT, help=f"Port of MLflow.  [default: {Port.MLFLOW}]")
@click.option("--prefect-port", type=_PORT, help=f"Port of Prefect.  [default: {Port.PREFECT}]")
@click.option("--model-port", type=_PORT, help=f"Port of the model server.  [default: {Port.MODEL_SERVER}]")
@click.option("--auto-ports", is_flag=True, help="Use any free ports instead of the defaults.")
@json_option
def command(
    *, mlflow_port: int | None, prefect_port: int | None, model_port: int | None, auto_ports: bool, as_json: bool
) -> None:
    """Start MLflow, Prefect, the model server and the schedule runner.

    They listen on this machine only, keep their state in .mlp/ and their logs in .mlp/logs/, and run until `mlp down`.
    Services that are already running are left alone; those that have stopped are started again. MLflow and Prefect ask
    for a login: the printed links log a browser in once, and `mlp status` prints new ones.
    """
    from platform_lib.local_platform.lifecycle import up
    from platform_lib.local_platform.pages import links

    project = find_project()
    given = {"mlflow": mlflow_port, "prefect": prefect_port, "models": model_port}
    requested = {name: port for name, port in given.items() if port is not None}
    with _ended_like_ctrl_c(), _progress() as progress:
        outcome = up(project, requested_ports=requested, auto_ports=auto_ports, progress=progress)
    _say_what_happened(outcome)
    version = _say_what_is_served(project.name, outcome.records["models"].url)
    pages = links(project, {name: record.url for name, record in outcome.records.items()})
    if as_json:
        services = {
            name: {"url": record.url, "pid": record.pid, "started": name in outcome.started}
            for name, record in outcome.records.items()
        }
        click.echo(json.dumps({"services": services, "served": version, "links": pages}))
        return
    for title, link in pages.items():
        click.echo(f"{title:<14}{link}")
    _say_what_overrides()


def _say_what_happened(outcome: "Outcome") -> None:
    from platform_lib.cli.console import stderr

    say = stderr().print
    if not outcome.started:
        say("The platform is already up:")
        return
    if outcome.revived:
        say(f"Restarted because it had stopped: {', '.join(outcome.revived)}.")
    if outcome.changed:
        say(f"Restarted because its command or settings changed: {', '.join(outcome.changed)}.")
    say("The platform is up; `mlp down` stops it.")


def _say_what_is_served(name: str, url: str) -> str | None:
    from platform_lib.cli.console import stderr, working
    from platform_lib.local_platform.status import wait_for_model

    with working("Waiting for the model server to load the champion"):
        version, reason = wait_for_model(url)
    stderr().print(
        f"The model server serves {name} version {version}."
        if version
        else f"The model server has nothing to serve yet: {reason or 'it does not respond'}"
    )
    return version


def _say_what_overrides() -> None:
    from platform_lib.cli.console import stderr

    settings = load_settings()
    for variable, value in (
        ("MLFLOW_TRACKING_URI", settings.tracking_uri),
        ("PREFECT_API_URL", settings.prefect_api_url),
    ):
        if value:
            stderr().print(f"Note: {variable} is set, so `mlp` uses {value} instead of the server started here.")


@contextmanager
def _progress() -> Iterator["Progress"]:
    from platform_lib.cli.console import stderr
    from platform_lib.local_platform.startup import Progress

    console = stderr()

    def is_up(name: str, seconds: float) -> None:
        console.print(f"{name} is up after {seconds:.1f} s")

    if not console.is_terminal:
        yield Progress(up=is_up)
        return
    with console.status("Examining the platform") as status:

        def waiting(names: Sequence[str], seconds: float) -> None:
            status.update(f"Starting {', '.join(names)} ({seconds:.0f} s)")

        yield Progress(waiting=waiting, up=is_up)


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Clean up as for Ctrl-C when CI ends the job or the terminal closes."""

    def interrupt(number: int, frame: Any) -> None:
        del number, frame
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    before = {
        getattr(signal, name): signal.signal(getattr(signal, name), interrupt)
        for name in names
        if hasattr(signal, name)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
