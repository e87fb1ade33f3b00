"""`mlp schedule`: train on a schedule, or start a training on the local platform now."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from platform_lib.cli.training.on_platform import Place, job_of, place_of, platform_options, reached
from platform_lib.errors import ServiceError, UsageError
from platform_lib.settings import find_project, load_settings, local_service_url, prefect_api_url

if TYPE_CHECKING:
    from platform_lib.settings import Project, Settings
    from platform_lib.training.prefect.schedule import Schedule, Triggered

_SHOWN_TIMES = 3


@click.command(epilog='Example: mlp schedule "0 3 * * 1" --timezone Europe/Berlin model=forest')
@click.argument("words", nargs=-1, metavar='["CRON"] [OVERRIDES]...')
@click.option("--timezone", help="IANA name, such as Europe/Berlin.  [default: this machine's]")
@click.option("--now", is_flag=True, help="Start a training on the local platform now.")
@click.option("--clear", is_flag=True, help="Remove the schedule.")
@platform_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    words: tuple[str, ...],
    timezone: str | None,
    now: bool,
    clear: bool,
    on: str | None,
    image: str | None,
    repository: str | None,
    pool: str | None,
    as_json: bool,
) -> None:
    """Train on a schedule, with OVERRIDES as for `mlp train`. Without arguments, show the schedule.

    CRON is five fields in quotes: minute, hour, day of month, month, day of week. The runner that `mlp up` starts
    follows the schedule while it is running. With --on platform, the team's work pool trains, with the image that the
    project has now. Exit code 3 means that nothing could run the schedule, and that none was set.
    """
    place = place_of(on, image, repository, pool)
    cron, overrides = split_words(words)
    if clear and (cron or overrides or now):
        raise UsageError("--clear removes the schedule and takes no other arguments.")
    if cron is None and (timezone or (overrides and not now)):
        raise UsageError(
            "--timezone and overrides need a schedule or --now, "
            'as in `mlp schedule "0 3 * * 1" --timezone Europe/Berlin model=forest`.'
        )
    project = find_project()
    settings = load_settings()
    if place.is_platform:
        if now:
            raise UsageError("--now is for the local platform; `mlp train --on platform` trains on the platform now.")
        _on_platform(project, settings, place, cron, timezone, overrides, clear=clear, as_json=as_json)
        return
    api_url = prefect_api_url(project, settings)
    if now and api_url is None:
        raise ServiceError("--now needs the local platform: start it with `mlp up`, then try again.")
    if now and not settings.prefect_api_url and local_service_url(project, "runner") is None:
        raise ServiceError("--now needs the platform's runner, which is not running: `mlp up` starts it again.")
    if clear:
        _clear(project, as_json=as_json)
        return
    if cron and settings.prefect_api_url and not local_service_url(project, "prefect"):
        _require_runner(project, settings)
    schedule = _set(project, cron, timezone, overrides) if cron else _read(project)
    triggered = (
        _trigger(project, settings, api_url, None if not (cron or overrides) else overrides)
        if now and api_url
        else None
    )
    times = _next_times(schedule) if schedule else []
    if as_json:
        click.echo(json.dumps(_as_dict(schedule, times, triggered), ensure_ascii=False))
        return
    _show(project, schedule, times, was_set=cron is not None)
    if triggered:
        from platform_lib.local_login import login_link

        click.echo(f"Training started: {login_link(project, triggered.url, 'prefect')}")


def split_words(words: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Separate the schedule from the overrides, which have an equals sign or a Hydra prefix.

    Raises:
        UsageError: The schedule's fields are separate arguments, because the quotes are missing.
    """
    if not words or _is_override(words[0]):
        first, rest = None, tuple(words)
    else:
        first, rest = words[0], tuple(words[1:])
    if wrong := [word for word in rest if not _is_override(word)]:
        raise UsageError(
            f"{wrong[0]!r} is neither a schedule nor an override such as model=forest. Quote the five fields of "
            "the schedule "
            'as one argument: "0 3 * * 1".'
        )
    return first, rest


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith(("+", "~"))


def _clear(project: "Project", *, as_json: bool) -> None:
    from platform_lib.training.prefect.schedule import clear_schedule

    _say_cleared(had_one=clear_schedule(project), as_json=as_json)


def _say_cleared(*, had_one: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_dict(None, [], None)))
    else:
        click.echo("Removed the schedule." if had_one else "There was no schedule.")


def _require_runner(project: "Project", settings: "Settings") -> None:
    """Refuse a schedule that a Prefect server elsewhere would never start."""
    from platform_lib.local_login import prefect_auth
    from platform_lib.training.prefect.api import PrefectApi
    from platform_lib.training.prefect.submission import require_runner

    api = PrefectApi(url=str(settings.prefect_api_url), auth=prefect_auth(project, settings))
    require_runner(api, project.name)


def _on_platform(
    project: "Project",
    settings: "Settings",
    place: Place,
    cron: str | None,
    timezone: str | None,
    overrides: tuple[str, ...],
    *,
    clear: bool,
    as_json: bool,
) -> None:
    from platform_lib.cli.console import working
    from platform_lib.training.config.compose import compose
    from platform_lib.training.prefect import submission
    from platform_lib.training.prefect.schedule import DEPLOYMENT, Schedule, checked

    schedule: Schedule | None = None
    if cron:
        with working("Checking the schedule and its overrides"):
            compose(project, overrides)
            schedule = checked(
                Schedule(cron=" ".join(cron.split()), timezone=timezone or machine_timezone(), overrides=overrides)
            )
    with reached(project, settings) as platform:
        if clear:
            had_one = submission.delete_schedule(platform.api, project.name)
            _say_cleared(had_one=had_one, as_json=as_json)
            return
        if schedule is not None:
            pool = submission.usable_pool(platform.api, place.pool)
            deployment = submission.Deployment(
                name=DEPLOYMENT,
                flow="train_flow",
                parameters={"overrides": list(overrides)},
                job_variables=job_of(project, place, pool),
                schedule=schedule,
            )
            submission.put_deployment(platform.api, project.name, pool, deployment)
        else:
            found = submission.scheduled_deployment(platform.api, project.name)
            schedule = submission.schedule_of(found) if found else None
    times = _next_times(schedule) if schedule else []
    if as_json:
        click.echo(json.dumps(_as_dict(schedule, times, None), ensure_ascii=False))
    elif schedule is None:
        click.echo(
            f'{project.name} has no schedule on the platform. `mlp schedule "0 3 * * 1" --on platform` sets one.'
        )
    else:
        _show_times(project, schedule, times, "will train on the platform" if cron else "trains on the platform")


def _set(project: "Project", cron: str, timezone: str | None, overrides: tuple[str, ...]) -> "Schedule":
    from platform_lib.cli.console import working
    from platform_lib.training.config.compose import compose
    from platform_lib.training.prefect.schedule import set_schedule

    with working("Checking the schedule and its overrides"):
        compose(project, overrides)  # a typo must be found now, not at three in the morning
        return set_schedule(project, cron, timezone or machine_timezone(), overrides)


def _read(project: "Project") -> "Schedule | None":
    from platform_lib.training.prefect.schedule import read_schedule

    return read_schedule(project)


def _trigger(project: "Project", settings: "Settings", api_url: str, overrides: tuple[str, ...] | None) -> "Triggered":
    from platform_lib.local_login import prefect_auth
    from platform_lib.training.config.compose import compose
    from platform_lib.training.prefect.schedule import trigger_now

    compose(project, overrides or ())
    return trigger_now(project, api_url, overrides, auth=prefect_auth(project, settings))


def machine_timezone(environ: dict[str, str] | None = None, link: Path = Path("/etc/localtime")) -> str:
    """Return this machine's IANA time zone, or UTC where the system has none, as on Windows."""
    named = (os.environ if environ is None else environ).get("TZ", "").lstrip(":")
    if named and not named.startswith("/"):
        return named
    _, found, name = link.resolve().as_posix().partition("/zoneinfo/")
    return name if found else "UTC"


def _next_times(schedule: "Schedule") -> list[datetime]:
    import asyncio

    from platform_lib.cli.console import working
    from platform_lib.registry.client import quiet_third_parties

    quiet_third_parties()
    with working("Working out the next times"):
        from prefect.server.schemas.schedules import CronSchedule

        return list(asyncio.run(CronSchedule(cron=schedule.cron, timezone=schedule.timezone).get_dates(_SHOWN_TIMES)))


def _as_dict(schedule: "Schedule | None", times: Sequence[datetime], triggered: "Triggered | None") -> dict[str, Any]:
    return {
        "cron": schedule.cron if schedule else None,
        "timezone": schedule.timezone if schedule else None,
        "overrides": list(schedule.overrides) if schedule else [],
        "next": [time.isoformat() for time in times],
        "flow_run_id": triggered.flow_run_id if triggered else None,
        "url": triggered.url if triggered else None,
    }


def _show(project: "Project", schedule: "Schedule | None", times: Sequence[datetime], *, was_set: bool) -> None:
    from platform_lib.cli.console import stderr

    if schedule is None:
        click.echo(f'{project.name} has no schedule. `mlp schedule "0 3 * * 1"` trains it on Mondays at 3.')
        return
    _show_times(project, schedule, times, "will train" if was_set else "trains")
    if local_service_url(project, "runner") is None:
        stderr().print("The platform is not running: the schedule is saved, and trainings start once `mlp up` runs.")


def _show_times(project: "Project", schedule: "Schedule", times: Sequence[datetime], does: str) -> None:
    options = f" with {' '.join(schedule.overrides)}" if schedule.overrides else ""
    click.echo(f"{project.name} {does} at {schedule.cron!r} ({schedule.timezone}){options}. Next:")
    for time in times:
        click.echo(f"  {time:%a %Y-%m-%d %H:%M %Z}")
