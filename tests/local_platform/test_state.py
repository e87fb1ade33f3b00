"""The file of service records: complete or absent, per project, one writer at a time."""

import shutil
import socket

import psutil
import pytest

from platform_lib.errors import UsageError
from platform_lib.local_platform.processes import stop
from platform_lib.local_platform.startup import bring_up
from platform_lib.local_platform.state import PlatformState
from platform_lib.settings import Project, local_service_url
from tests.local_platform.conftest import MakeService


def test_a_broken_file_counts_as_absent(state: PlatformState) -> None:
    state.folder.mkdir()
    state.file.write_text('{"services": {"mlflow": {"pid": "x"')
    assert state.load() == {}


def test_settings_reads_the_same_file(state: PlatformState, make_service: MakeService) -> None:

    service = make_service("mlflow")
    bring_up(state, [service])
    assert local_service_url(Project(root=state.root, name="a", package="a"), "mlflow") == service.url


def test_a_copied_project_does_not_own_the_originals_services(state: PlatformState, make_service: MakeService) -> None:
    bring_up(state, [make_service("a")])
    copy = state.root.with_name("copy")
    shutil.copytree(state.root, copy)
    assert PlatformState(copy).load() == {}
    assert state.load().keys() == {"a"}


def test_a_moved_project_still_owns_its_services(state: PlatformState, make_service: MakeService) -> None:
    bring_up(state, [make_service("a")])
    moved = state.root.rename(state.root.with_name("moved"))
    assert PlatformState(moved).load().keys() == {"a"}


def test_only_one_process_may_hold_the_lock(state: PlatformState) -> None:
    with (
        state.locked(),
        pytest.raises(UsageError, match=r"^another `mlp up` or `mlp down` of this project is running"),
        PlatformState(state.root).locked(),
    ):
        pass


def test_the_lock_is_released(state: PlatformState) -> None:
    with state.locked():
        pass
    with state.locked():
        pass


def test_a_failing_write_leaves_the_old_file(state: PlatformState, make_service: MakeService) -> None:
    before = bring_up(state, [make_service("a")]).records
    state.save(dict(before))
    assert [path.name for path in state.folder.iterdir() if path.name.startswith("platform.json")] == ["platform.json"]


def test_a_dead_service_has_no_address_even_when_another_program_has_its_port(
    state: PlatformState, make_service: MakeService
) -> None:

    project = Project(root=state.root, name="a", package="a")
    service = make_service("mlflow")
    record = bring_up(state, [service]).records["mlflow"]
    stop([psutil.Process(record.pid)])
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", service.port))
        stranger.listen()
        assert local_service_url(project, "mlflow") is None


def test_a_copied_project_does_not_use_the_originals_services(state: PlatformState, make_service: MakeService) -> None:

    bring_up(state, [make_service("mlflow")])
    copy = state.root.with_name("copy")
    shutil.copytree(state.root, copy)
    assert local_service_url(Project(root=copy, name="a", package="a"), "mlflow") is None
