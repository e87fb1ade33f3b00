"""A real Prefect server with the command, environment and probes of its Deployment on a real Postgres."""

import asyncio
import copy
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest

from tests.infra.services.containers import Pod, place
from tests.infra.services.platform import PREFECT_AUTH, basic, prefect_graph
from tests.infra.services.postgres import Postgres

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("platform-services")]


@pytest.fixture
def api(prefect_api: httpx.Client) -> httpx.Client:
    return prefect_api


@pytest.fixture(scope="module")
def worker_pod(prefect_api: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    graph = prefect_graph()
    folder = tmp_path_factory.mktemp("pods") / "worker"
    deployment = graph.one("kubernetes:apps/v1:Deployment", "prefect-alpha-worker")
    pod = place(graph, deployment, folder, secrets={("prefect-auth", "auth-string"): PREFECT_AUTH}, ports=[8080])
    return pod.with_address("http://prefect-server.mlp-prefect:4200", str(prefect_api.base_url).removesuffix("/api/"))


def test_it_starts_and_answers_its_probes_without_credentials(api: httpx.Client, prefect_pod: Pod) -> None:
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert httpx.get(prefect_pod.probe_url("prefect-server", probe)).status_code == 200


def test_requests_without_the_auth_string_are_refused(api: httpx.Client) -> None:
    assert api.get("/version").status_code == 200
    assert httpx.get(f"{api.base_url}version").status_code == 401
    assert httpx.get(f"{api.base_url}version", headers={"Authorization": basic("edge", "guessed")}).status_code == 401
    assert httpx.get(f"{api.base_url}metrics").status_code == 401
    assert "# HELP" in api.get("/metrics").text


def test_an_owner_creates_its_own_database_once(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        "psql",
        "postgres",
        "-qc",
        'create role "prefect-red" login createdb',
        "-c",
        'create role "prefect-blue" login createdb',
    )
    address = f"postgresql+asyncpg://prefect-red@127.0.0.1:{postgres.port}/prefect-red?ssl=disable"
    graph = prefect_graph()
    secrets = {("prefect-database", "asyncpg_uri"): address, ("prefect-auth", "auth-string"): PREFECT_AUTH}
    pod = place(
        graph, graph.one("kubernetes:apps/v1:Deployment", "prefect"), tmp_path / "red", secrets=secrets, ports=[4200]
    )
    pod.run("database")
    pod.run("database")

    question = (
        "select has_database_privilege('prefect-red', 'prefect-red', 'connect'),"
        " has_database_privilege('prefect-blue', 'prefect-red', 'connect')"
    )
    assert postgres.run("psql", "postgres", "-Atc", question).strip() == "t|f"


def test_a_teams_work_pool_is_created_kept_and_repaired(api: httpx.Client, worker_pod: Pod) -> None:
    worker_pod.run("pool")
    made = api.get("/work_pools/alpha").json()
    assert made["type"] == "kubernetes"
    assert made["base_job_template"] == json.loads((worker_pod.volume("code") / "job.json").read_text())

    api.patch("/work_pools/alpha", json={"base_job_template": {"job_configuration": {}, "variables": {}}})
    worker_pod.run("pool")

    assert api.get("/work_pools/alpha").json()["base_job_template"] == made["base_job_template"]
    automations = api.post("/automations/filter", json={}).json()
    found = [
        (one["enabled"], one["trigger"]["within"])
        for one in automations
        if one["name"] == "alpha: runs that do not start"
    ]
    assert found == [(True, 900.0)]


def test_a_flow_runs_with_a_pods_settings(api: httpx.Client, tmp_path: Path) -> None:
    program = (
        "from prefect import flow, task\n@task\ndef add(a, b): return a + b\n"
        "@flow(name='sum')\ndef run(): return add(1, 2)\nassert run() == 3\n"
    )
    environment = {
        "PREFECT_API_URL": str(api.base_url).rstrip("/"),
        "PREFECT_API_AUTH_STRING": PREFECT_AUTH,
        "PREFECT_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    [run] = api.post("/flow_runs/filter", json={"flows": {"name": {"any_": ["sum"]}}}).json()
    assert run["state_type"] == "COMPLETED"


IMAGE = "registry.example.com/churn-train@sha256:" + "a" * 64


class TestJob:
    """The Job that the real worker would create, through its own templating and validation."""

    @pytest.fixture
    def rendered(self, api: httpx.Client, worker_pod: Pod) -> Any:
        def render(**variables: Any) -> dict[str, Any]:
            from prefect.client.schemas.objects import Flow, FlowRun
            from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
            from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

            template = json.loads((worker_pod.volume("code") / "job.json").read_text())
            with temporary_settings(
                {PREFECT_API_URL: str(api.base_url).rstrip("/"), PREFECT_API_AUTH_STRING: PREFECT_AUTH}
            ):
                values = {"image": IMAGE, **variables}
                configuration = asyncio.run(
                    KubernetesWorkerJobConfiguration.from_template_and_values(copy.deepcopy(template), values)
                )
                run = FlowRun(id=uuid.uuid4(), flow_id=uuid.uuid4(), name="calm-otter")
                configuration.prepare_for_flow_run(run, flow=Flow(id=run.flow_id, name="training"))
            manifest: dict[str, Any] = json.loads(json.dumps(configuration.job_manifest))
            return manifest

        return render

    def test_matches_the_strict_schema(self, rendered: Any) -> None:
        manifest = rendered(cpu="2", memory="4Gi", env={"MLP_DEBUG": "1"})

        kubernetes_validate.validate(manifest, "1.34", strict=True)
        spec, pod = manifest["spec"], manifest["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert manifest["metadata"]["namespace"] == "team-alpha"
        assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (
            0,
            21600,
            86400,
        )
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"], pod["restartPolicy"]) == (
            "train",
            False,
            "Never",
        )
        assert (container["image"], container["resources"]["limits"]["memory"]) == (IMAGE, "4Gi")
        environment = {entry["name"]: entry for entry in container["env"]}
        assert environment["MLP_DEBUG"]["value"] == "1"
        assert environment["MLFLOW_TRACKING_PASSWORD"]["valueFrom"]["secretKeyRef"] == {
            "name": "mlflow-credentials",
            "key": "password",
        }

    def test_starts_prefect_whatever_the_images_entrypoint_is(self, rendered: Any) -> None:
        container = rendered()["spec"]["template"]["spec"]["containers"][0]

        assert (container["command"], container["args"]) == (["/usr/bin/env"], ["prefect", "flow-run", "execute"])

    def test_gets_gpus_nodes_and_access_to_data_that_a_project_asks_for(self, rendered: Any) -> None:
        taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        asked = {"gpus": 2, "node_selector": {"pool": "gpu"}, "tolerations": [taint], "secret": "churn-data"}
        manifest = rendered(**asked, image_pull_secrets=[{"name": "login"}], pod_annotations={"a": "b"})

        kubernetes_validate.validate(manifest, "1.34", strict=True)
        template = manifest["spec"]["template"]
        pod = template["spec"]
        container = pod["containers"][0]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
        assert container["envFrom"] == [{"secretRef": {"name": "churn-data", "optional": True}}]
        assert (pod["nodeSelector"], pod["tolerations"]) == ({"pool": "gpu"}, [taint])
        assert (pod["imagePullSecrets"], template["metadata"]["annotations"]) == ([{"name": "login"}], {"a": "b"})
        assert "nvidia.com/gpu" not in rendered()["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]

    def test_always_uses_the_teams_namespace_and_service_account(self, rendered: Any) -> None:
        manifest = rendered(namespace="team-beta", service_account_name="admin")

        assert (manifest["metadata"]["namespace"], manifest["spec"]["template"]["spec"]["serviceAccountName"]) == (
            "team-alpha",
            "train",
        )
