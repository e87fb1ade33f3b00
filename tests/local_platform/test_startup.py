"""Startup: services start together, all or none, and only those that are not running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from platform_lib.errors import ServiceError
from platform_lib.local_platform import processes
from platform_lib.local_platform.service import Service
from platform_lib.local_platform.shutdown import take_down
from platform_lib.local_platform.startup import Progress, bring_up, environment
from platform_lib.local_platform.state import PlatformState
from tests.local_platform.conftest import MakeService, is_running


def test_every_service_responds_once_bring_up_returns(state: PlatformState, make_service: MakeService) -> None:
    services = [make_service("a"), make_service("b")]
    outcome = bring_up(state, services)
    assert [httpx.get(service.health_url).status_code for service in services] == [200, 200]
    assert outcome.started == ["a", "b"]


def test_what_was_started_is_recorded_with_its_process(state: PlatformState, make_service: MakeService) -> None:
    service = make_service("a")
    bring_up(state, [service])
    record = state.load()["a"]
    assert (record.url, record.port) == (service.url, service.port)
    assert processes.find(record) is not None


def test_a_second_call_keeps_the_running_processes(state: PlatformState, make_service: MakeService) -> None:
    services = [make_service("a"), make_service("b")]
    first = bring_up(state, services)
    second = bring_up(state, services)
    assert (second.kept, second.started) == (["a", "b"], [])
    assert second.records == first.records


def test_only_the_dead_service_is_restarted(state: PlatformState, make_service: MakeService) -> None:
    services = [make_service("a"), make_service("b")]
    before = bring_up(state, services).records
    _kill(before["a"].pid)
    after = bring_up(state, services)
    assert (after.kept, after.started, after.revived) == (["b"], ["a"], ["a"])
    assert after.records["b"] == before["b"]
    assert after.records["a"].pid != before["a"].pid


def test_a_service_whose_settings_changed_is_restarted(state: PlatformState, make_service: MakeService) -> None:
    service = make_service("a", env={"COLOUR": "red"})
    before = bring_up(state, [service]).records["a"]
    changed = Service(name="a", command=service.command, port=service.port, health_path="/", env={"COLOUR": "blue"})
    after = bring_up(state, [changed])
    assert after.changed == ["a"]
    assert not is_running(before.pid)
    assert "hello from fine blue" in Path(after.records["a"].log).read_text()


def test_a_service_that_exits_is_reported_with_its_code_log_and_last_lines(
    state: PlatformState, make_service: MakeService
) -> None:
    with pytest.raises(ServiceError) as caught:
        bring_up(state, [make_service("good"), make_service("bad", "dies")])
    message = str(caught.value)
    assert message.startswith("bad ended with exit code 7 while starting")
    assert str(state.logs / "bad.log") in message
    assert "the reason why" in message


def test_after_a_failure_nothing_of_this_start_runs_or_is_recorded(
    state: PlatformState, make_service: MakeService
) -> None:
    with pytest.raises(ServiceError):
        bring_up(state, [make_service("good"), make_service("bad", "dies")])
    assert processes.marked(state.root) == []
    assert not state.file.exists()


def test_a_failing_restart_does_not_affect_the_others(state: PlatformState, make_service: MakeService) -> None:
    good = make_service("good")
    before = bring_up(state, [good]).records
    with pytest.raises(ServiceError):
        bring_up(state, [good, make_service("bad", "dies")])
    assert state.load() == before
    assert is_running(before["good"].pid)


def test_a_service_that_never_becomes_healthy_is_named(state: PlatformState, make_service: MakeService) -> None:
    with pytest.raises(
        ServiceError, match=r"^mute did not respond within \d+ s; the services started with it were stopped"
    ):
        bring_up(state, [make_service("mute", "mute")], timeout_s=0.5)
    assert processes.marked(state.root) == []


def test_records_keep_the_order_of_the_definitions(state: PlatformState, make_service: MakeService) -> None:
    services = [make_service("a"), make_service("b")]
    _kill(bring_up(state, services).records["a"].pid)
    bring_up(state, services)
    assert list(state.load()) == ["a", "b"]


def test_an_interruption_stops_what_was_started(state: PlatformState, make_service: MakeService) -> None:
    def interrupt(names: object, seconds: float) -> None:
        if state.load().keys() == {"good", "mute"}:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring_up(state, [make_service("good"), make_service("mute", "mute")], progress=Progress(waiting=interrupt))
    assert processes.marked(state.root) == []
    assert not state.file.exists()


def test_the_previous_log_is_kept_next_to_the_new_one(state: PlatformState, make_service: MakeService) -> None:
    service = make_service("a", env={"COLOUR": "red"})
    bring_up(state, [service])
    take_down(state)
    bring_up(
        state, [Service(name="a", command=service.command, port=service.port, health_path="/", env={"COLOUR": "blue"})]
    )
    assert "red" in (state.logs / "a.log.1").read_text()
    assert "blue" in (state.logs / "a.log").read_text()


def test_a_state_folder_that_cannot_be_created_is_reported_in_one_sentence(
    state: PlatformState, make_service: MakeService
) -> None:
    state.folder.write_text("a file where the folder should be")
    with pytest.raises(ServiceError, match=r"^cannot write to .*\.mlp: .*Free some space, or"):
        bring_up(state, [make_service("a")])


def test_settings_of_other_servers_do_not_reach_a_service(
    state: PlatformState, make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    monkeypatch.setenv("AWS_PROFILE", "data")
    env = environment(state, make_service("a", env={"PREFECT_HOME": "here"}))
    assert {name: value for name, value in env.items() if name.startswith(("PREFECT_", "MLFLOW_", "AWS_"))} == {
        "PREFECT_HOME": "here",
        "AWS_PROFILE": "data",
    }


def test_services_connect_to_each_other_without_a_proxy(
    state: PlatformState, make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet")
    assert environment(state, make_service("a"))["NO_PROXY"] == "intranet,127.0.0.1,localhost"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no sessions of processes")
def test_a_service_outlives_the_terminal_that_started_it(state: PlatformState, make_service: MakeService) -> None:
    record = bring_up(state, [make_service("a")]).records["a"]
    assert os.getsid(record.pid) != os.getsid(0)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_killed_services_orphans_are_stopped_before_it_is_restarted(
    state: PlatformState, make_service: MakeService
) -> None:
    service = make_service("a", "parent")
    record = bring_up(state, [service]).records["a"]
    [orphan] = [process.pid for process in processes.marked(state.root) if process.pid != record.pid]
    _kill(record.pid)
    processes.stop_leftovers(state.root, [record])
    assert not is_running(orphan)


def test_leftover_processes_do_not_count_as_the_service(state: PlatformState, make_service: MakeService) -> None:
    record = bring_up(state, [make_service("a", "parent")]).records["a"]
    before = {process.pid for process in processes.marked(state.root)}
    processes.stop_leftovers(state.root, [record])
    assert {process.pid for process in processes.marked(state.root)} == before
    assert len(before) == 2


def test_another_process_with_a_reused_id_is_not_taken_for_a_service(
    state: PlatformState, make_service: MakeService
) -> None:
    record = bring_up(state, [make_service("a")]).records["a"]
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        import msgspec

        assert processes.find(msgspec.structs.replace(record, pid=stranger.pid)) is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_service_is_recognised_after_a_clock_change(state: PlatformState, make_service: MakeService) -> None:

    record = bring_up(state, [make_service("a")]).records["a"]
    assert processes.find(msgspec.structs.replace(record, create_time=record.create_time - 7200)) is not None
