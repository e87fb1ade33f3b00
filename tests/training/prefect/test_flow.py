"""Training through Prefect gives the same result, is tracked, and reports failures with their reason."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.settings import Project
from platform_lib.training.prefect import schedule
from platform_lib.training.prefect.flow import probe, run_url
from platform_lib.training.prefect.schedule import Schedule
from tests.conftest import commit_all, copy_of, run_mlp

servers = [pytest.mark.slow, pytest.mark.xdist_group("servers")]


def _flow_run(api: str, flow_run_id: str) -> dict[str, Any]:
    answer = httpx.get(f"{api}/flow_runs/{flow_run_id}", timeout=15).json()
    assert isinstance(answer, dict)
    return answer


def _last_flow_run(api: str, flow: str) -> dict[str, Any]:
    query = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC", "limit": 1}
    answer = httpx.post(f"{api}/flow_runs/filter", json=query, timeout=15).json()
    assert answer, f"no run of the flow {flow!r}"
    return dict(answer[0])


def _task_names(api: str, flow_run_id: str) -> set[str]:
    query = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
    return {
        run["name"].rsplit("-", 1)[0] for run in httpx.post(f"{api}/task_runs/filter", json=query, timeout=15).json()
    }


def _artifacts(api: str, flow_run_id: str) -> list[dict[str, Any]]:
    query = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}}
    return list(httpx.post(f"{api}/artifacts/filter", json=query, timeout=15).json())


def _wait_for(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.3)
    raise AssertionError(f"{what} did not come within {timeout_s} s")


class TestTracked:
    pytestmark = servers

    def test_the_same_inputs_give_the_same_metrics_with_and_without_prefect(
        self, trained: Project, tmp_path: Path, prefect_server: str
    ) -> None:
        project = copy_of(trained, tmp_path / "project")

        alone = json.loads(run_mlp(project, "train", "--json").stdout)
        tracked = json.loads(run_mlp(project, "train", "--json", env={"PREFECT_API_URL": prefect_server}).stdout)

        assert tracked["metrics"] == alone["metrics"]
        assert (alone["passed"], tracked["passed"]) == (True, True)

    def test_every_step_is_a_task_of_a_flow_named_after_the_project(
        self, tmp_path: Path, generate: Callable[..., Project], prefect_server: str
    ) -> None:
        project = generate(tmp_path / "project", project_name="tracked-model")

        done = run_mlp(project, "train", "--json", env={"PREFECT_API_URL": prefect_server})

        run = _last_flow_run(prefect_server, "tracked-model")
        assert run["state_name"] == "Completed"
        assert run_url(prefect_server, run["id"]) in done.stderr
        assert _task_names(prefect_server, run["id"]) == {"load", "split", "fit", "evaluate", "gate", "register"}
        origin = json.loads(run_mlp(project, "lineage", "--json").stdout)
        assert origin["flow_run"] == run["id"]
        assert run["name"] == "logistic on sample"

    def test_a_gate_refusal_completes_the_run_with_the_state_name_refused(
        self, tmp_path: Path, generate: Callable[..., Project], prefect_server: str
    ) -> None:
        project = generate(tmp_path / "project", project_name="refused-model")

        run_mlp(
            project, "train", "gate.thresholds.balanced_accuracy=1.1", env={"PREFECT_API_URL": prefect_server}, expect=1
        )

        run = _last_flow_run(prefect_server, "refused-model")
        assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Refused")
        [verdict] = _artifacts(prefect_server, run["id"])
        assert verdict["description"] == "refused-model version 1: refused"
        assert verdict["data"].startswith("# refused-model version 1: refused\n\n**LogisticRegression**")
        assert "balanced_accuracy is" in verdict["data"]

    def test_a_failing_step_fails_the_run_with_its_reason_and_registers_nothing(
        self, tmp_path: Path, generate: Callable[..., Project], prefect_server: str
    ) -> None:
        project = generate(tmp_path / "project", project_name="failing-model")
        model = project.root / "src" / "failing_model" / "model.py"
        text = model.read_text(encoding="utf-8")
        model.write_text(
            text.replace("    model = config.model\n", "    raise UsageError('the user said no.')\n"), encoding="utf-8"
        )
        commit_all(project.root)

        done = run_mlp(project, "train", env={"PREFECT_API_URL": prefect_server}, expect=2)

        assert done.stderr.splitlines()[-1] == "error: the user said no."
        run = _last_flow_run(prefect_server, "failing-model")
        assert run["state_type"] == "FAILED"
        assert "the user said no." in run["state"]["message"]
        assert json.loads(run_mlp(project, "models", "--json").stdout) == []


def test_an_unreachable_configured_server_is_reported_in_one_sentence() -> None:
    with pytest.raises(ServiceError, match=r"the Prefect server http://127.0.0.1:9/api does not answer"):
        probe("http://127.0.0.1:9/api")


class TestRunner:
    pytestmark = servers

    @pytest.fixture(scope="class")
    def running(
        self, trained: Project, prefect_server: str, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Project]:
        """A project whose runner serves its deployment."""
        project = copy_of(trained, tmp_path_factory.mktemp("runner") / "project")
        import os

        env = {**os.environ, "PREFECT_API_URL": prefect_server, "PREFECT_HOME": str(project.state_dir / "prefect")}
        log = (project.state_dir / "runner.log").open("w", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "platform_lib.training.prefect.runner", "--project", str(project.root)],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(
                lambda: (
                    "runner: serving" in (project.state_dir / "runner.log").read_text() or process.poll() is not None
                ),
                60,
                "the runner",
            )
            yield project
        finally:
            process.terminate()
            process.wait(timeout=30)
            log.close()

    def test_a_triggered_run_trains_and_registers(self, running: Project, prefect_server: str) -> None:
        before = len(json.loads(run_mlp(running, "models", "--json").stdout))

        triggered = schedule.trigger_now(running, prefect_server, ("seed=3",))

        state = _wait_for(lambda: _terminal(prefect_server, triggered.flow_run_id), 120, "the end of the run")
        assert state == "COMPLETED", (running.state_dir / "runner.log").read_text()
        assert len(json.loads(run_mlp(running, "models", "--json").stdout)) == before + 1

    def test_the_runner_follows_a_schedule_that_is_set_and_cleared_while_it_runs(
        self, running: Project, prefect_server: str
    ) -> None:
        schedule.set_schedule(running, "0 3 * * 1", "Europe/Berlin", ("seed=5",))

        def schedules() -> list[dict[str, Any]]:
            return list(
                httpx.get(f"{prefect_server}/deployments/name/{running.name}/train", timeout=15).json()["schedules"]
            )

        found = _wait_for(schedules, 30, "the schedule")
        assert [(item["schedule"]["cron"], item["schedule"]["timezone"], item["active"]) for item in found] == [
            ("0 3 * * 1", "Europe/Berlin", True)
        ]

        schedule.clear_schedule(running)
        assert _wait_for(lambda: not schedules(), 30, "the end of the schedule")


def _terminal(api: str, flow_run_id: str) -> str | None:
    state = _flow_run(api, flow_run_id)["state_type"]
    return state if state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None


class TestSchedule:
    def test_a_schedule_can_be_stored_and_removed(self, project: Project) -> None:
        schedule.set_schedule(project, " 0  3 * * 1", "Europe/Berlin", ("model=forest",))

        assert schedule.read_schedule(project) == Schedule(
            cron="0 3 * * 1", timezone="Europe/Berlin", overrides=("model=forest",)
        )
        assert schedule.clear_schedule(project)
        assert schedule.read_schedule(project) is None
        assert not schedule.clear_schedule(project)

    @pytest.mark.parametrize(
        ("cron", "timezone", "expected"),
        [
            pytest.param("61 * * * *", "UTC", "'61 \\* \\* \\* \\*' is not a cron expression", id="minute 61"),
            pytest.param("daily", "UTC", "'daily' has 1 field, expected five", id="a word"),
            pytest.param("*/5 * * * * *", "UTC", "has 6 fields, expected five", id="seconds"),
            pytest.param("0 3 * * *", "Mars/Base", "there is no time zone 'Mars/Base'", id="time zone"),
        ],
    )
    def test_an_invalid_schedule_is_refused_and_nothing_is_written(
        self, project: Project, cron: str, timezone: str, expected: str
    ) -> None:
        with pytest.raises(UsageError, match=expected):
            schedule.set_schedule(project, cron, timezone)

        assert not schedule.schedule_path(project).exists()

    def test_a_broken_schedule_file_is_reported_in_one_sentence(self, project: Project) -> None:
        project.state_dir.mkdir()
        schedule.schedule_path(project).write_text("[]", encoding="utf-8")

        with pytest.raises(UsageError, match="is not a schedule"):
            schedule.read_schedule(project)

    def test_triggering_without_prefect_fails_with_one_sentence(self, project: Project) -> None:
        with pytest.raises(ServiceError, match="Prefect does not answer as expected"):
            schedule.trigger_now(project, "http://127.0.0.1:9/api")

    @pytest.mark.slow
    @pytest.mark.xdist_group("servers")
    def test_triggering_without_a_runner_says_how_to_start_one(
        self, tmp_path: Path, generate: Callable[..., Project], prefect_server: str
    ) -> None:
        project = generate(tmp_path / "project", project_name="never-served")

        with pytest.raises(NotFound, match=r"has no deployment never-served/train: `mlp up`"):
            schedule.trigger_now(project, prefect_server)
