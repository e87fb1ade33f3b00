"""A team's worker with the command of its Deployment, against a real Prefect and a real Kubernetes API.

There is no kubelet: the test runs the command of a pod as a process, and writes the status of pods.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_lib.infra.base.naming import MLFLOW_URL
from platform_lib.lineage import SOURCE_FILE, write_source
from platform_lib.settings import Project
from tests.conftest import Called, commit_all
from tests.infra.harness.objects import Objects
from tests.infra.services.containers import Pod, place
from tests.infra.services.platform import PASSWORDS, PREFECT_AUTH, Mlflow, prefect_graph
from tests.k8slab import programs
from tests.k8slab.lab import Lab
from tests.operations.image_registry import image_registry
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("platform-services")]
NAMESPACE, TEAM_NAMESPACE, PENDING_LIMIT_S = "lab-prefect", "lab-team-beta", 20
DIGEST = "sha256:" + "a" * 64
NO_ROOM = "900Ti"


@pytest.fixture(scope="module")
def worker(lab: Lab, prefect_api: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The worker of team beta, running."""
    folder = tmp_path_factory.mktemp("worker")
    graph = prefect_graph(namespace=NAMESPACE, team_namespaces={"beta": TEAM_NAMESPACE})
    objects = Objects(lab)
    for name, level in ((NAMESPACE, "baseline"), (TEAM_NAMESPACE, "restricted")):
        body = {"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": level}}}
        lab.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", **body})
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        for one in graph.kubernetes(kind):
            objects.apply({"apiVersion": one.inputs["apiVersion"], "kind": kind, **one.inputs})
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/prefect-worker-beta/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = lab.request("POST", account, request)["status"]["token"]
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(programs.kubeconfig(lab.url, lab.folder / "apiserver.crt", "worker", token))
    deployment = graph.one("kubernetes:apps/v1:Deployment", "prefect-beta-worker")
    pod = place(
        graph, deployment, folder / "pod", secrets={("prefect-auth", "auth-string"): PREFECT_AUTH}, ports=[8080]
    )
    pod = pod.with_address(f"http://prefect-server.{NAMESPACE}:4200", str(prefect_api.base_url).removesuffix("/api/"))
    pod = replace(pod, more={"KUBECONFIG": str(kubeconfig), "PREFECT_WORKER_QUERY_SECONDS": "1"})
    pod.run("pool")
    with pod.running("worker"):
        wait_until(lambda: is_online(prefect_api), "the worker's first heartbeat")
        yield pod
    for name in (NAMESPACE, TEAM_NAMESPACE):
        lab.request("DELETE", f"/api/v1/namespaces/{name}")


def is_online(api: httpx.Client) -> bool:
    """Whether Prefect knows a running worker of the team: `mlp` refuses to start a run without one."""
    found = api.post("/work_pools/beta/workers/filter", json={})
    return found.is_success and any(one["status"] == "ONLINE" for one in found.json())


def start_run(api: httpx.Client, name: str) -> str:
    """A run of a deployment whose pod no node has room for."""
    flow = api.post("/flows/", json={"name": name}).json()["id"]
    deployment = {
        "name": "train",
        "flow_id": flow,
        "work_pool_name": "beta",
        "entrypoint": "flow.py:flow",
        "path": "/app",
        "job_variables": {"image": f"registry.example.com/churn-train@{DIGEST}", "memory": NO_ROOM},
    }
    made = api.post("/deployments/", json=deployment)
    assert made.status_code in (200, 201), made.text
    run = api.post(f"/deployments/{made.json()['id']}/create_flow_run", json={"state": {"type": "SCHEDULED"}})
    assert run.status_code in (200, 201), run.text
    return str(run.json()["id"])


def pod_of(lab: Lab, run: str) -> dict[str, Any]:
    def find() -> Any:
        items = lab.request("GET", f"/api/v1/namespaces/{TEAM_NAMESPACE}/pods")["items"]
        return next((one for one in items if one["metadata"]["labels"].get("prefect.io/flow-run-id") == run), None)

    found: dict[str, Any] = wait_until(find, "the pod")
    return found


def ended(api: httpx.Client, run: str) -> dict[str, Any]:
    def find() -> Any:
        state = api.get(f"/flow_runs/{run}").json()["state"]
        return state if state["type"] in ("FAILED", "CRASHED", "COMPLETED", "CANCELLED") else None

    state: dict[str, Any] = wait_until(find, "the end of the run")
    return state


def wait_until_logged(api: httpx.Client, run: str, words: str) -> None:
    """A worker sends its log in batches, so that a line may come after the state that it explains."""

    def find() -> bool:
        lines = api.post("/logs/filter", json={"logs": {"flow_run_id": {"any_": [run]}}}).json()
        return any(words in line["message"] for line in lines)

    wait_until(find, f"{words!r} in the run's log")


class Kubelet:
    """Runs what a kubelet would run in a pod of a training."""

    def __init__(self, lab: Lab, project: Project, pod: Pod) -> None:
        self._lab, self._project, self._pod = lab, project, pod

    def run(self, scratch: Path) -> dict[str, Any]:
        """Run the command of the next pod in the project's folder, and write how it ended."""
        found = self.wait()
        container = found["spec"]["containers"][0]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        pod = replace(self._pod, spec=found["spec"], folder=scratch, more={"PATH": path})
        done = subprocess.run(
            pod.command(container["name"]),
            env=pod.environment(container["name"]),
            cwd=self._project.root,
            capture_output=True,
            text=True,
            timeout=180,
        )
        self.end(found, "Failed" if done.returncode else "Succeeded", {"exitCode": done.returncode, "reason": "Ended"})
        assert done.returncode == 0, done.stderr[-3000:]
        return found

    def kill(self, reason: str) -> dict[str, Any]:
        """End the next pod as if its container had been killed."""
        found = self.wait()
        self.end(found, "Failed", {"exitCode": 137, "reason": reason})
        return found

    def wait(self) -> dict[str, Any]:
        def find() -> Any:
            pods = self._lab.request("GET", f"/api/v1/namespaces/{TEAM_NAMESPACE}/pods")["items"]
            return next((one for one in pods if one["status"].get("phase") == "Running"), None)

        found: dict[str, Any] = wait_until(find, "a pod that runs")
        return found

    def end(self, pod: dict[str, Any], phase: str, how: dict[str, Any]) -> None:
        times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"}
        container = {
            "name": "prefect-job",
            "image": "i",
            "imageID": "i",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": {**how, **times}},
        }
        path = f"/api/v1/namespaces/{TEAM_NAMESPACE}/pods/{pod['metadata']['name']}/status"
        status = {"status": {"phase": phase, "containerStatuses": [container]}}
        patched = self._lab.send("PATCH", path, status, content_type="application/strategic-merge-patch+json")
        assert patched.is_success, patched.text


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., Project]) -> Project:
    """A project as the image `train` has it: without git, with its commit in a file."""
    project = generate(tmp_path_factory.mktemp("image") / "app", project_name="beta-model")
    (project.root / "conf" / "platform.yaml").write_text(
        "cpu: 500m\nmemory: 3Gi\ngpus: 0\nnode_selector: {kubernetes.io/os: linux}\ntimeout_s: 600\n"
        'pod_annotations: {k8slab/completes: "false"}\n',
        encoding="utf-8",
    )
    commit_all(project.root)
    write_source(project, project.root / SOURCE_FILE)
    (project.root / ".git").rename(project.root.with_name("git"))
    return project


@pytest.fixture
def kubelet(
    lab: Lab, worker: Pod, image: Project, mlflow: Mlflow, prefect_api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> Kubelet:
    """The team's pods reach this machine's MLflow and Prefect; so does `mlp`."""
    monkeypatch.setenv("PREFECT_API_URL", str(prefect_api.base_url).rstrip("/"))
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", PREFECT_AUTH)
    credentials = {"username": "beta", "password": PASSWORDS["beta"]}
    secrets = {
        **worker.secrets,
        **{("mlflow-credentials", key): value for key, value in credentials.items()},
    }
    return Kubelet(lab, image, replace(worker.with_address(MLFLOW_URL, mlflow.url), secrets=secrets))


@contextmanager
def meanwhile(do: Callable[..., Any], *arguments: Any) -> Iterator[Future[Any]]:
    """Run something else while the block runs, and wait for its end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(do, *arguments)
        yield future
        future.result()


def test_a_training_on_the_platform_is_logged_here_and_registered_as_the_team(
    kubelet: Kubelet, image: Project, mlflow: Mlflow, call_mlp: Callable[..., Called], tmp_path: Path
) -> None:
    with image_registry() as (address, stored):
        stored["train-1"] = b"{}"
        with meanwhile(kubelet.run, tmp_path) as pod:
            done = call_mlp(image, "train", "seed=2", "--on", "platform", "--image", f"{address}/beta-model:train-1")
            assert "/runs/flow-run/" in done.err, done.err

    assert done.code == 0, done.err
    assert "beta-model version 1 passed the gate" in done.out
    container = pod.result()["spec"]["containers"][0]
    assert container["image"].startswith(f"{address}/beta-model@sha256:")
    assert container["resources"]["requests"] | {"cpu": "500m", "memory": "3Gi"} == container["resources"]["requests"]
    assert pod.result()["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    for words in ("On the platform: http", "/runs/flow-run/", "Waiting for the worker", "passed the gate"):
        assert words in done.err
    version = {"name": "beta-model", "version": "1"}
    with mlflow.machine("beta") as beta, mlflow.machine("alpha") as alpha:
        assert beta.get("/api/2.0/mlflow/model-versions/get", params=version).status_code == 200
        assert alpha.get("/api/2.0/mlflow/model-versions/get", params=version).status_code == 403


def test_a_pod_that_dies_ends_the_command_with_the_reason(
    kubelet: Kubelet, image: Project, call_mlp: Callable[..., Called]
) -> None:
    with meanwhile(kubelet.kill, "OOMKilled") as pod:
        done = call_mlp(image, "train", "--on", "platform", "--image", f"registry.example.com/beta@{DIGEST}")
        assert "/runs/flow-run/" in done.err, done.err

    assert done.code == 3
    assert pod.result()["spec"]["serviceAccountName"] == "train"
    last = done.err.splitlines()[-1]
    assert last.startswith("error: the run on the platform crashed: No active or succeeded pods found for any job.")
    assert "OOM" in last


def test_an_unschedulable_pod_fails_its_run_with_the_reason_in_its_log(
    worker: Pod, lab: Lab, prefect_api: httpx.Client
) -> None:
    replace(worker, more={**worker.more, "MLP_PENDING_LIMIT_S": str(PENDING_LIMIT_S)}).run("pool")
    run = start_run(prefect_api, "waits")
    pod_of(lab, run)

    state = ended(prefect_api, run)

    assert (state["type"], state["name"]) == ("FAILED", "NeverStarted")
    assert state["message"].startswith(f"The pod did not start within {PENDING_LIMIT_S} s.")
    wait_until_logged(prefect_api, run, "nsufficient memory")
