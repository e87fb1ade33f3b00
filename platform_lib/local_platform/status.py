"""Report the state of the local platform and the model that it serves."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Literal

import httpx
import msgspec
import psutil

from platform_lib.local_platform import processes
from platform_lib.local_platform.health import answers, get_json, loopback_client, mlflow_login
from platform_lib.local_platform.ports import USUAL
from platform_lib.local_platform.state import PlatformState, Record
from platform_lib.names import MODEL_LOOKUP, Alias
from platform_lib.settings import Project

State = Literal["up", "not answering", "dead", "not started"]


class ServiceReport(msgspec.Struct, frozen=True, kw_only=True):
    """The current state of one service."""

    name: str
    state: State
    url: str | None = None
    pid: int | None = None
    memory_mb: float | None = None
    """Resident memory of the process and its descendants, in MB."""
    since: float | None = None
    """Start time, in seconds since the epoch."""
    log: str | None = None


class PlatformReport(msgspec.Struct, frozen=True, kw_only=True):
    """The current state of all services and of the model."""

    services: list[ServiceReport]
    served: str | None
    """Version that the model server serves; None if it serves none or does not respond."""
    not_served_because: str | None
    champion: str | None
    """The registry's champion; None if there is none or MLflow does not respond."""

    @property
    def is_up(self) -> bool:
        """Whether all services are up."""
        return all(service.state == "up" for service in self.services)


def examine(project: Project) -> PlatformReport:
    """Examine all services of the project's platform in parallel."""
    records = PlatformState(project.root).load()
    with loopback_client() as client, ThreadPoolExecutor(len(USUAL) + 2) as pool:
        services = [pool.submit(_service, name, records.get(name), client) for name in USUAL]
        champion = pool.submit(_champion, project, records, client)
        served = pool.submit(_served, records["models"].url, client) if "models" in records else None
        version, reason = served.result() if served else (None, None)
        return PlatformReport(
            services=[each.result() for each in services],
            served=version,
            not_served_because=reason,
            champion=champion.result(),
        )


def wait_for_model(url: str, timeout_s: float = 60.0) -> tuple[str | None, str | None]:
    """Wait until a model server serves a version, or knows why it serves none.

    Args:
        url: Its address.
        timeout_s: After which the last reason counts.
    Returns:
        The version that it serves, or None and the reason.
    """
    deadline = time.monotonic() + timeout_s
    with loopback_client() as client:
        while True:
            version, reason = _served(url, client)
            if version or reason not in (None, MODEL_LOOKUP) or time.monotonic() > deadline:
                return version, reason
            time.sleep(0.2)


def _service(name: str, record: Record | None, client: httpx.Client) -> ServiceReport:
    if record is None:
        return ServiceReport(name=name, state="not started")
    process = processes.find(record)
    if process is None:
        return ServiceReport(name=name, state="dead", url=record.url, pid=record.pid, log=record.log)
    memory = 0.0
    for member in processes.tree(process):
        with suppress(psutil.Error):
            memory += member.memory_info().rss / 1e6
    state: State = "up" if answers(client, record.health_url) else "not answering"
    return ServiceReport(
        name=name,
        state=state,
        url=record.url,
        pid=record.pid,
        memory_mb=round(memory, 1),
        since=record.create_time,
        log=record.log,
    )


def _served(url: str, client: httpx.Client) -> tuple[str | None, str | None]:
    said = get_json(client, f"{url}/model")
    if not isinstance(said, dict):
        return None, None
    version = said.get("version")
    return (
        (None, str(said.get("waiting_for") or said.get("registry_error") or "no reason given"))
        if version is None
        else (str(version), None)
    )


def _champion(project: Project, records: Mapping[str, Record], client: httpx.Client) -> str | None:
    if "mlflow" not in records or processes.find(records["mlflow"]) is None:
        return None
    url = f"{records['mlflow'].url}/api/2.0/mlflow/registered-models/alias"
    said = get_json(client, url, mlflow_login(project), name=project.name, alias=Alias.CHAMPION)
    version = said.get("model_version") if isinstance(said, dict) else None
    return str(version["version"]) if isinstance(version, dict) and "version" in version else None
