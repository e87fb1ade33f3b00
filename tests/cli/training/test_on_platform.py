"""`--on platform`: options that go together, a Prefect that can run nothing, and what the end of a run says.

`tests/infra/services/test_prefect_worker.py` runs a training with a real worker.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from platform_lib.cli.training.on_platform import failure, place_of, progress_text
from platform_lib.errors import UsageError
from platform_lib.infra.prefect.job import base_job_template
from platform_lib.names import Env
from platform_lib.settings import Project
from platform_lib.training.prefect.api import PrefectApi
from platform_lib.training.prefect.following import RunState, cancel, read_state
from tests.conftest import Called

IMAGE = "registry.example.com/red/churn@sha256:" + "a" * 64
TEMPLATE = base_job_template("team-red", mlflow_url="http://mlflow", prefect_api_url="http://prefect/api")


def state(kind: str, message: str = "", reason: str = "", name: str = "") -> RunState:
    return RunState(type=kind, name=name or kind.capitalize(), message=message, started=True, reason=reason)


def test_options_of_the_platform_need_it() -> None:
    with pytest.raises(UsageError, match=r"^--image needs --on platform\.$"):
        place_of(None, IMAGE, None, None)


def test_the_repository_of_mlp_deploy_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(Env.IMAGE_REPOSITORY, "registry.example.com/red/churn")

    assert place_of("platform", None, None, None).repository == "registry.example.com/red/churn"


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (
            state("CRASHED", "No active or succeeded pods found for any job", "Container 'prefect-job' was OOMKilled."),
            "crashed: No active or succeeded pods found for any job. Container 'prefect-job' was OOMKilled. ",
        ),
        (state("FAILED", "the table 'sales' is not there."), "failed: the table 'sales' is not there. "),
        (state("CANCELLED"), "was cancelled. "),
    ],
    ids=["crashed", "failed", "cancelled"],
)
def test_a_run_that_did_not_complete_is_explained_with_its_reason(ended: RunState, expected: str) -> None:
    assert failure(ended, "URL") == f"the run on the platform {expected}Its log: URL"


def test_the_progress_says_what_is_waited_for() -> None:
    said = [progress_text(state(kind), "") for kind in ("SCHEDULED", "PENDING", "RUNNING")]

    assert said == ["Waiting for the worker", "Waiting for the pod", "Running"]
    assert progress_text(state("RUNNING"), "fit") == "Running, step fit"


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
class TestWithoutAWorker:
    @pytest.fixture
    def api(self, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
        """The Prefect server, without work pools; `mlp` uses it."""
        monkeypatch.setenv("PREFECT_API_URL", prefect_server)
        with httpx.Client(base_url=prefect_server, timeout=30) as client:
            for pool in client.post("/work_pools/filter", json={}).json():
                client.delete(f"/work_pools/{pool['name']}")
            yield client

    def make_pool(self, api: httpx.Client, name: str, kind: str = "kubernetes", *, paused: bool = False) -> None:
        template = TEMPLATE if kind == "kubernetes" else {}
        body = {"name": name, "type": kind, "base_job_template": template, "is_paused": paused}
        assert api.post("/work_pools/", json=body).status_code == 201

    def test_a_schedule_is_refused_in_one_sentence_and_not_set(
        self, api: httpx.Client, project: Project, call_mlp: Callable[..., Called]
    ) -> None:
        def refused(*more: str, code: int = 3) -> str:
            done = call_mlp(project, "schedule", "0 3 * * 1", "--on", "platform", "--image", IMAGE, *more)
            assert done.code == code, done.err
            return done.err.splitlines()[-1]

        assert refused().startswith("error: Prefect has no work pool, so nothing would run the training.")
        self.make_pool(api, "red")
        assert refused().startswith("error: no worker of the work pool red is running (there never was one)")
        self.make_pool(api, "blue", paused=True)
        assert refused("--pool", "blue").startswith("error: the work pool blue is paused")
        self.make_pool(api, "here", "process")
        assert refused("--pool", "here").startswith("error: the work pool here (type process) does not run images.")
        assert refused(code=2) == "error: this Prefect has the work pools blue, here, red: choose one with --pool."
        assert refused("--pool", "grey").startswith("error: Prefect has no work pool grey, only blue, here, red,")
        assert api.get(f"/deployments/name/{project.name}/train").status_code == 404

    def test_a_schedule_for_a_worker_is_set_shown_and_removed(
        self, api: httpx.Client, project: Project, call_mlp: Callable[..., Called]
    ) -> None:
        self.make_pool(api, "red")
        api.post("/work_pools/red/workers/heartbeat", json={"name": "w", "heartbeat_interval_seconds": 600})
        (project.root / "conf" / "platform.yaml").write_text("gpus: 1\n", encoding="utf-8")

        done = call_mlp(
            project, "schedule", "0 3 * * 1", "seed=4", "--timezone", "UTC", "--on", "platform", "--image", IMAGE
        )

        assert done.code == 0, done.err
        assert done.out.startswith(f"{project.name} will train on the platform at '0 3 * * 1' (UTC) with seed=4. Next:")
        found = api.get(f"/deployments/name/{project.name}/train").json()
        assert found["work_pool_name"] == "red"
        assert (found["job_variables"], found["parameters"]) == (
            {"gpus": 1, "image": IMAGE},
            {"overrides": ["seed=4"]},
        )
        shown = json.loads(call_mlp(project, "schedule", "--on", "platform", "--json").out)
        assert (shown["cron"], shown["timezone"], shown["overrides"]) == ("0 3 * * 1", "UTC", ["seed=4"])
        assert call_mlp(project, "schedule", "--clear", "--on", "platform").out == "Removed the schedule.\n"
        assert "has no schedule on the platform" in call_mlp(project, "schedule", "--on", "platform").out

    @pytest.mark.answers(project_name="never-served")
    def test_a_schedule_that_no_runner_of_a_prefect_elsewhere_follows_is_not_saved(
        self, api: httpx.Client, project: Project, call_mlp: Callable[..., Called]
    ) -> None:
        done = call_mlp(project, "schedule", "0 3 * * 1")

        assert done.code == 3
        assert "has no runner of never-served, so a schedule would start nothing" in done.err
        assert not (project.state_dir / "schedule.json").exists()

    def test_ctrl_c_leaves_the_run_and_says_how_to_cancel_it(self, api: httpx.Client, project: Project) -> None:
        self.make_pool(api, "red")
        api.post("/work_pools/red/workers/heartbeat", json={"name": "w", "heartbeat_interval_seconds": 600})
        command = [sys.executable, "-m", "platform_lib.cli", "train", "--on", "platform", "--image", IMAGE]
        lines = []

        with subprocess.Popen(
            command, cwd=project.root, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            for line in process.stderr or ():
                lines.append(line)
                if line == "Waiting for the worker\n":
                    process.send_signal(signal.SIGINT)

        assert process.returncode == 130, lines
        told, run = lines[-1].strip().rsplit(" ", 1)
        assert told == "To cancel it: mlp tunnel -- prefect flow-run cancel"
        prefect = PrefectApi(url=str(api.base_url))
        assert read_state(prefect, run).type == "SCHEDULED"
        cancel(prefect, run)
        assert read_state(prefect, run).type == "CANCELLED"
