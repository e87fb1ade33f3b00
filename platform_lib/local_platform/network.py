"""What a project reaches outside this machine, whether it answers, and whether the clocks agree. `machine` looks at the machine itself."""

import configparser
import importlib.metadata
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from platform_lib.findings import Finding, note, ok, problem
from platform_lib.settings import Project, Settings

TIMEOUT_S = 2.5
CLOCK_TOLERANCE_S = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An address that something needs."""

    name: str
    url: str
    needed: bool
    """Commands fail without it; otherwise it is only missed for updates and installations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    error: str | None = None
    server_time: float | None = None
    """Seconds since the epoch, as the other side has it."""


def examine_network(project: Project | None, settings: Settings) -> list[Finding]:
    """Ask every address, all at once; takes as long as `TIMEOUT_S` at most."""
    found = targets(project, settings)
    with ThreadPoolExecutor(max(1, len(found))) as pool:
        asked = list(pool.map(lambda target: ask(target.url), found))
    findings = [finding_of(target, answer.error) for target, answer in zip(found, asked, strict=True)]
    times = [answer.server_time for answer in asked if answer.server_time is not None]
    return [*folder_remotes(project), *findings, *check_clock(times)]


def targets(project: Project | None, settings: Settings) -> list[Target]:
    """The home of this library, the configured servers, and DVC's remotes that have an HTTP address."""
    found = [Target(name="project home", url=home_url(), needed=False)] if home_url() else []
    if settings.tracking_uri and settings.tracking_uri.startswith("http"):
        found.append(Target(name="MLFLOW_TRACKING_URI", url=settings.tracking_uri, needed=True))
    if settings.prefect_api_url:
        found.append(Target(name="PREFECT_API_URL", url=f"{settings.prefect_api_url.rstrip('/')}/health", needed=True))
    for name, remote in dvc_remotes(project):
        address = remote.get("endpointurl") or remote.get("url", "")
        if address.startswith("http"):
            found.append(Target(name=f"DVC remote {name}", url=address, needed=False))
    return found


def home_url() -> str:
    """Where the project comes from, as its own metadata says; empty when it is not installed."""
    try:
        entries = importlib.metadata.metadata("platform-lib").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    return next((entry.split(",", 1)[1].strip() for entry in entries if entry.startswith("Homepage,")), "")


def dvc_remotes(project: Project | None) -> list[tuple[str, dict[str, str]]]:
    """Name and settings of each DVC remote; the machine's own file adds to the repository's."""
    if project is None:
        return []
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read([project.root / ".dvc" / name for name in ("config", "config.local")], encoding="utf-8")
    except configparser.Error:
        return []
    sections = [name for name in config.sections() if "remote" in name]
    return [(name.split('"')[1] if '"' in name else name, dict(config[name])) for name in sections]


def folder_remotes(project: Project | None) -> Iterable[Finding]:
    """DVC remotes that are folders of this machine or of a mounted one."""
    for name, remote in dvc_remotes(project):
        url = remote.get("url", "")
        if project is None or not url or "://" in url:
            continue
        folder = (project.root / ".dvc" / url).resolve()
        if folder.is_dir() or not Path(url).is_absolute():
            yield ok(f"DVC remote {name}", str(folder))
        else:
            remedy = "Mount or make that folder, or point the remote elsewhere with `dvc remote modify`."
            yield note(f"DVC remote {name}", f"{folder} is not there", remedy)


def ask(url: str) -> _Answer:
    """Whether anything answers at an address; what it answers does not matter, and no password is sent."""
    try:
        answer = httpx.head(url, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        return _Answer(error=str(err) or type(err).__name__)
    try:
        return _Answer(server_time=parsedate_to_datetime(answer.headers["date"]).timestamp())
    except (KeyError, ValueError, TypeError):
        return _Answer()


def finding_of(target: Target, error: str | None) -> Finding:
    """What an answer, or none, means for the user."""
    shown = str(httpx.URL(target.url).copy_with(username=None, password=None)) if "@" in target.url else target.url
    if error is None:
        return ok(target.name, f"{shown} answers")
    if target.needed:
        remedy = f"Start that server or correct {target.name}; unset it to work on this machine alone."
        return problem(target.name, f"{shown} does not answer: {error}", remedy)
    remedy = "Offline, everything but installing, updating and exchanging data works."
    return note(target.name, f"{shown} does not answer: {error}", remedy)


def check_clock(server_times: Sequence[float], now: float | None = None) -> Iterable[Finding]:
    """Compare this machine's clock with what servers said (whole seconds, since the epoch); without servers there is nothing to compare with."""
    here = time.time() if now is None else now
    if not server_times:
        yield note("clock", "not compared: no server was asked or answered")
        return
    apart = here - sorted(server_times)[len(server_times) // 2]
    if abs(apart) > CLOCK_TOLERANCE_S:
        text = f"{abs(apart) / 60:.0f} minutes {'ahead' if apart > 0 else 'behind'}"
        remedy = "Set the clock, or have the system do it: schedules, tokens and TLS depend on it."
        yield problem("clock", text, remedy)
    else:
        yield ok("clock", f"right to within {max(2.0, abs(apart)):.0f} s")
