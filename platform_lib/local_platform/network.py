"""Checks of the network: the servers that a project uses, and the clock."""

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
    """An address to check."""

    name: str
    url: str
    needed: bool
    """Whether commands fail without it; otherwise only updates, installations and data transfers do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    error: str | None = None
    server_time: float | None = None
    """The server's time, in seconds since the epoch."""


def examine_network(project: Project | None, settings: Settings) -> list[Finding]:
    """Check all addresses in parallel, for at most `TIMEOUT_S`."""
    found = targets(project, settings)
    with ThreadPoolExecutor(max(1, len(found))) as pool:
        asked = list(pool.map(lambda target: ask(target.url), found))
    findings = [finding_of(target, answer.error) for target, answer in zip(found, asked, strict=True)]
    times = [answer.server_time for answer in asked if answer.server_time is not None]
    return [*folder_remotes(project), *findings, *check_clock(times)]


def targets(project: Project | None, settings: Settings) -> list[Target]:
    """List the library's home page, the configured servers, and DVC remotes with an HTTP address."""
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
    """Return the library's home page from its metadata; empty if it is not installed."""
    try:
        entries = importlib.metadata.metadata("platform-lib").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    return next((entry.split(",", 1)[1].strip() for entry in entries if entry.startswith("Homepage,")), "")


def dvc_remotes(project: Project | None) -> list[tuple[str, dict[str, str]]]:
    """List name and settings of each DVC remote, with config.local applied."""
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
    """Check DVC remotes that are local or mounted folders."""
    for name, remote in dvc_remotes(project):
        url = remote.get("url", "")
        if project is None or not url or "://" in url:
            continue
        folder = (project.root / ".dvc" / url).resolve()
        if folder.is_dir() or not Path(url).is_absolute():
            yield ok(f"DVC remote {name}", str(folder))
        else:
            remedy = "Mount or create the folder, or change the remote with `dvc remote modify`."
            yield note(f"DVC remote {name}", f"{folder} does not exist", remedy)


def ask(url: str) -> _Answer:
    """Send a HEAD request to an address; any response counts, and no password is sent."""
    try:
        answer = httpx.head(url, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        return _Answer(error=str(err) or type(err).__name__)
    try:
        return _Answer(server_time=parsedate_to_datetime(answer.headers["date"]).timestamp())
    except (KeyError, ValueError, TypeError):
        return _Answer()


def finding_of(target: Target, error: str | None) -> Finding:
    """Turn the response of an address, or its error, into a finding."""
    shown = str(httpx.URL(target.url).copy_with(username=None, password=None)) if "@" in target.url else target.url
    if error is None:
        return ok(target.name, f"{shown} responds")
    if target.needed:
        remedy = f"Start the server or correct {target.name}; unset it to work locally."
        return problem(target.name, f"{shown} does not respond: {error}", remedy)
    remedy = "Offline, only installing, updating and transferring data fail."
    return note(target.name, f"{shown} does not respond: {error}", remedy)


def check_clock(server_times: Sequence[float], now: float | None = None) -> Iterable[Finding]:
    """Compare this machine's clock with the servers' times.

    Args:
        server_times: In whole seconds since the epoch; without any, the clock is not checked.
        now: This machine's time, in seconds since the epoch. By default the current time.
    """
    here = time.time() if now is None else now
    if not server_times:
        yield note("clock", "not compared: no server responded")
        return
    apart = here - sorted(server_times)[len(server_times) // 2]
    if abs(apart) > CLOCK_TOLERANCE_S:
        text = f"{abs(apart) / 60:.0f} minutes {'ahead' if apart > 0 else 'behind'}"
        remedy = "Set the clock, or let the system set it: schedules, tokens and TLS depend on it."
        yield problem("clock", text, remedy)
    else:
        yield ok("clock", f"accurate to within {max(2.0, abs(apart)):.0f} s")
