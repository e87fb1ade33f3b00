"""A team's worker with the command of its Deployment, against a real Prefect and a real Kubernetes API.

There is no kubelet: the test writes the status of pods. The limit for pods that do not start is shortened.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.infra.harness.objects import Objects
from tests.infra.services.containers import Pod, place
from tests.infra.services.platform import PREFECT_AUTH, prefect_graph
from tests.k8slab import programs
from tests.k8slab.lab import Lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("platform-services")]
NAMESPACE, TEAM_NAMESPACE, PENDING_LIMIT_S = "lab-prefect", "lab-team-beta", 20
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
    pod = replace(pod, more={"KUBECONFIG": str(kubeconfig), "MLP_PENDING_LIMIT_S": str(PENDING_LIMIT_S)})
    pod.run("pool")
    with pod.running("worker"):
        yield pod
    for name in (NAMESPACE, TEAM_NAMESPACE):
        lab.request("DELETE", f"/api/v1/namespaces/{name}")


def start_run(api: httpx.Client, name: str) -> str:
    """A run of a deployment whose pod no node has room for."""
    flow = api.post("/flows/", json={"name": name}).json()["id"]
    deployment = {
        "name": "train",
        "flow_id": flow,
        "work_pool_name": "beta",
        "entrypoint": "flow.py:flow",
        "path": "/app",
        "job_variables": {"image": "registry.example.com/churn-train@sha256:" + "a" * 64, "memory": NO_ROOM},
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


def test_a_pod_that_dies_ends_its_run_as_crashed(worker: Pod, lab: Lab, prefect_api: httpx.Client) -> None:
    run = start_run(prefect_api, "dies")
    pod = pod_of(lab, run)
    assert pod["spec"]["serviceAccountName"] == "train"
    prefect_api.post(
        f"/flow_runs/{run}/set_state", json={"state": {"type": "RUNNING"}}
    )  # as the process in the pod says when it begins
    dead = {
        "exitCode": 137,
        "reason": "OOMKilled",
        "finishedAt": "2026-01-01T00:00:00Z",
        "startedAt": "2026-01-01T00:00:00Z",
    }
    container = {
        "name": "prefect-job",
        "image": "i",
        "imageID": "i",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": dead},
    }
    path = f"/api/v1/namespaces/{TEAM_NAMESPACE}/pods/{pod['metadata']['name']}/status"
    patched = lab.send(
        "PATCH",
        path,
        {"status": {"phase": "Failed", "containerStatuses": [container]}},
        content_type="application/strategic-merge-patch+json",
    )
    assert patched.is_success, patched.text

    state = ended(prefect_api, run)

    assert (state["type"], state["message"]) == ("CRASHED", "No active or succeeded pods found for any job")
    wait_until_logged(prefect_api, run, "OOM")


def test_an_unschedulable_pod_fails_its_run_with_the_reason_in_its_log(
    worker: Pod, lab: Lab, prefect_api: httpx.Client
) -> None:
    run = start_run(prefect_api, "waits")
    pod_of(lab, run)

    state = ended(prefect_api, run)

    assert (state["type"], state["name"]) == ("FAILED", "NeverStarted")
    assert state["message"].startswith(f"The pod did not start within {PENDING_LIMIT_S} s.")
    wait_until_logged(prefect_api, run, "nsufficient memory")
