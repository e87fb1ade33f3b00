"""Pages that `mlp canary` and `mlp shadow` print."""

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from platform_lib.errors import NotFound, ServiceError
from platform_lib.names import Alias, Env

if TYPE_CHECKING:
    from platform_lib.registry.reference import VersionRecord
    from platform_lib.registry.roles import CanaryRecord
    from platform_lib.registry.versions import Moved, Registry
    from platform_lib.serving.request_log.comparison import LogComparison, VersionStats

_SOON = "Servers that follow the champion load it at their next poll (every 2 seconds by default)."


def canary_started(record: "VersionRecord", percent: float, before: "CanaryRecord | None", *, as_json: bool) -> None:
    """Report that a version became the canary."""
    until_now = None if before is None else before.record.version
    if as_json:
        click.echo(json.dumps({"name": record.name, "canary": record.version, "percent": percent, "before": until_now}))
        return
    same = until_now == record.version
    instead = f" instead of version {until_now}" if until_now and not same else ""
    click.echo(
        f"{record.name} version {record.version} {'stays' if same else 'is'} the canary{instead}, with {percent:g} "
        f"% of the requests. {_SOON}"
    )


def shadow_started(record: "VersionRecord", *, as_json: bool) -> None:
    """Report that a version became the shadow."""
    if as_json:
        click.echo(json.dumps({"name": record.name, "shadow": record.version}))
    else:
        click.echo(
            f"{record.name} version {record.version} is the shadow: it predicts in the background, and no caller "
            "gets its "
            f"predictions. {_SOON}"
        )


def ended(record: "VersionRecord", alias: str, *, as_json: bool) -> None:
    """Report that a version is no longer the canary or the shadow."""
    if as_json:
        click.echo(json.dumps({"name": record.name, alias: None, "before": record.version}))
    else:
        what = "The champion serves all requests again" if alias == Alias.CANARY else "Servers stop running it"
        click.echo(f"{record.name} version {record.version} is no longer the {alias}. {what} at their next poll.")


def note_canary(canary: "CanaryRecord | None") -> None:
    """Report that another version is still the canary."""
    if canary is not None:
        click.echo(
            f"note: version {canary.record.version} is still the canary; `mlp canary abort` removes it.", err=True
        )


def finished(moved: "Moved", *, as_json: bool) -> None:
    """Report that the canary was promoted."""
    record = moved.champion
    if as_json:
        click.echo(
            json.dumps({"name": record.name, "champion": record.version, "previous": moved.before, "canary": None})
        )
    elif not moved.changed:
        click.echo(f"{record.name} version {record.version} was already the champion; it is no longer the canary.")
    else:
        back = f"`mlp rollback` restores version {moved.before}"
        click.echo(f"{record.name} version {record.version} was the canary and is now the champion; {back}.")


def canary_status(registry: "Registry", name: str, *, place: str, url: str | None, as_json: bool) -> None:
    """Print champion and canary side by side."""
    from platform_lib.cli.console import working
    from platform_lib.registry.roles import find_canary

    champion, canary = registry.champion(name), find_canary(registry, name)
    compared, missing = None, None
    if champion is not None and canary is not None:
        try:
            with working(f"Reading {place}"):
                compared = _compared(champion, canary, place)
        except NotFound as err:
            missing = str(err)
    live = None if url is None else ask_server(url).get("canary")
    if as_json:
        said = {
            "name": name,
            "champion": champion.version if champion else None,
            "canary": canary.record.version if canary else None,
            "percent": canary.percent if canary else None,
            "logged": asdict(compared) if compared else None,
            "server": live,
        }
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    if canary is None:
        click.echo(f"{name} has no canary. Start one with `mlp canary --version V --percent P`.")
        return
    share = "an unreadable share" if canary.percent is None else f"{canary.percent:g} % of the requests"
    click.echo(f"{name} version {canary.record.version} is the canary, with {share}.")
    if compared is not None:
        _table(compared)
        click.echo(compared.verdict)
    else:
        click.echo(missing or f"{place} has no predictions of the canary yet.")
    if url is not None:
        _live(url, live)


def shadow_status(registry: "Registry", name: str, *, url: str | None, as_json: bool) -> None:
    """Print which version is the shadow and how often it agrees with the champion."""
    from platform_lib.registry.roles import find_role

    record = find_role(registry, name, Alias.SHADOW)
    live = None if url is None else ask_server(url).get("shadow")
    if as_json:
        click.echo(json.dumps({"name": name, "shadow": record.version if record else None, "server": live}, indent=2))
        return
    if record is None:
        click.echo(f"{name} has no shadow. Start one with `mlp shadow --version V`.")
        return
    click.echo(f"{name} version {record.version} is the shadow.")
    if url is None:
        click.echo("Use --url to see how often it agrees with the champion.")
    else:
        _live(url, live)


def ask_server(url: str) -> dict[str, Any]:
    """Return a server's `/model` document with the fields that only admins see.

    Raises:
        ServiceError: The server does not respond, or the key in MLP_API_KEY lacks the scope admin.
    """
    import httpx

    key = os.environ.get(Env.API_KEY)
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/model", headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=10
        )
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
    except httpx.HTTPStatusError as err:
        raise ServiceError(
            f"{url}/model returned {err.response.status_code}: set {Env.API_KEY} to a key of that server."
        ) from err
    except (httpx.HTTPError, ValueError) as err:
        raise ServiceError(f"{url}/model does not respond like a model server ({type(err).__name__}).") from err
    if "canary" not in said:
        raise ServiceError(
            f"{url}/model shows canary and shadow only to admins: the key in {Env.API_KEY} needs the scope admin."
        )
    return said


def _compared(champion: "VersionRecord", canary: "CanaryRecord", place: str) -> "LogComparison | None":
    from platform_lib.serving.request_log.comparison import compare_logged
    from platform_lib.serving.request_log.files import LogFolder

    verdict = canary.record.verdict or champion.verdict or {}
    versions = champion.version, canary.record.version
    return compare_logged(
        LogFolder.at(place), champion.name, *versions, metric=verdict.get("metric"), since=canary.since
    )


def _table(compared: "LogComparison") -> None:
    from platform_lib.cli.console import stdout
    from platform_lib.cli.rendering import number, show, table

    sides = (compared.champion, compared.canary)
    heads = tuple(f"{alias} {side.version}" for alias, side in zip((Alias.CHAMPION, Alias.CANARY), sides, strict=True))
    all_requests = sum(side.requests for side in sides)
    shown = table("since the canary's first prediction", *heads, numeric=heads)
    shown.add_row("requests", *(f"{side.requests:,}" for side in sides))
    shown.add_row("share", *(f"{side.requests / all_requests:.1%}" for side in sides))
    shown.add_row("rows", *(f"{side.rows:,}" for side in sides))
    shown.add_row("p50 ms", *(number(side.p50_ms) for side in sides))
    shown.add_row("p99 ms", *(number(side.p99_ms) for side in sides))
    for name in dict.fromkeys(name for side in sides for name in side.predicted):
        label = "mean prediction" if name == "mean" and len(compared.champion.predicted) <= 1 else f"predicted {name}"
        shown.add_row(label, *(_share(side, name) for side in sides))
    shown.add_row("labels", *(f"{side.labels:,}" for side in sides))
    shown.add_row(
        compared.metric,
        *(number(side.score) + (f" ± {side.error:.4f}" if side.error is not None else "") for side in sides),
    )
    show(stdout(), shown)


def _share(side: "VersionStats", name: str) -> str:
    from platform_lib.cli.rendering import number

    value = side.predicted.get(name)
    if value is None:
        return "–"
    return number(value) if name == "mean" else f"{value:.1%}"


def _live(url: str, said: dict[str, Any] | None) -> None:
    if said is None:
        click.echo(f"{url} has none loaded: it has not polled yet, is pinned, or serves this version as the champion.")
        return
    why = f": {said['reason']}" if said.get("reason") else ""
    click.echo(f"{url}: {said['state'].replace('_', ' ')}{why}")
    if "compared" not in said:
        return
    if "requests" in said:
        click.echo(f"  {said['requests']:,} requests; {said['failures']:,} failed and were answered by the champion")
    share = f" ({said['disagreements'] / said['compared']:.1%})" if said["compared"] else ""
    mean = "" if said["mean_difference"] is None else f"; mean difference {said['mean_difference']:.4g}"
    click.echo(
        f"  {said['compared']:,} rows predicted by both versions, {said['disagreements']:,} differently{share}{mean}"
    )
