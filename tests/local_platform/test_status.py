"""`mlp status`: every state that a service can have."""

from pathlib import Path

import psutil
import pytest

from platform_lib.local_platform import processes
from platform_lib.local_platform.startup import bring_up
from platform_lib.local_platform.state import PlatformState
from platform_lib.local_platform.status import examine
from platform_lib.names import Env
from platform_lib.settings import Project
from tests.local_platform.conftest import MakeService


@pytest.fixture
def empty_project(state: PlatformState) -> Project:
    return Project(root=state.root, name="sample-model", package="sample_model")


def states(project: Project) -> dict[str, str]:
    return {service.name: service.state for service in examine(project).services}


def test_before_the_first_start_nothing_is_started(empty_project: Project) -> None:
    assert states(empty_project) == dict.fromkeys(("mlflow", "prefect", "models", "runner"), "not started")


def test_status_leaves_no_files(empty_project: Project) -> None:
    examine(empty_project)
    assert list(empty_project.root.iterdir()) == []


def test_the_platform_is_up_if_all_services_are(
    state: PlatformState, make_service: MakeService, empty_project: Project
) -> None:
    bring_up(state, [make_service(name) for name in ("mlflow", "prefect", "models", "runner")])
    report = examine(empty_project)
    assert report.is_up
    assert [service.state for service in report.services] == ["up"] * 4


def test_a_running_service_has_pid_memory_and_start(
    state: PlatformState, make_service: MakeService, empty_project: Project
) -> None:
    record = bring_up(state, [make_service("mlflow")]).records["mlflow"]
    [shown] = [service for service in examine(empty_project).services if service.name == "mlflow"]
    assert (shown.pid, shown.url, shown.since) == (record.pid, record.url, record.create_time)
    assert shown.memory_mb is not None
    assert 1 < shown.memory_mb < 500


def test_a_dead_service_is_dead_and_keeps_its_log(
    state: PlatformState, make_service: MakeService, empty_project: Project
) -> None:
    record = bring_up(state, [make_service("mlflow"), make_service("prefect")]).records["mlflow"]
    processes.stop([psutil.Process(record.pid)])
    report = examine(empty_project)
    assert not report.is_up
    assert [(s.name, s.state) for s in report.services[:2]] == [("mlflow", "dead"), ("prefect", "up")]
    assert Path(report.services[0].log or "").is_file()


def test_a_service_that_runs_without_responding_is_shown_as_such(
    state: PlatformState, make_service: MakeService, empty_project: Project
) -> None:
    service = make_service("mlflow", "mute")
    log = state.folder / "logs" / "mlflow.log"
    log.parent.mkdir(parents=True)
    process = processes.spawn(service.command, env={Env.PLATFORM_OF: str(state.root)}, folder=state.root, log=log)
    from platform_lib.local_platform.state import Record

    record = Record(
        pid=process.pid,
        create_time=processes.create_time(process.pid),
        url=service.url,
        port=service.port,
        health_url=service.health_url,
        log=str(log),
        command=service.command,
        fingerprint=service.fingerprint,
    )
    state.save({"mlflow": record})
    assert states(empty_project)["mlflow"] == "not answering"
