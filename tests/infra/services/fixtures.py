"""One Postgres and one MLflow for all tests that need them; mark them `slow` and `xdist_group("platform-services")`."""

import json
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from platform_lib.settings import Project
from tests.conftest import copy_of, run_mlp
from tests.infra.services.containers import Pod, place
from tests.infra.services.platform import (
    PREFECT_AUTH,
    WORKSPACES,
    Mlflow,
    client_environment,
    mlflow_graph,
    prefect_graph,
)
from tests.infra.services.postgres import Postgres, running_postgres
from tests.infra.services.surface import Target


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_pod(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    """MLflow's pod from the resource graph, its schema made by its own init container."""
    postgres.make_database("mlflow")
    graph = mlflow_graph()
    deployment = graph.one("kubernetes:apps/v1:Deployment", "mlflow")
    secrets = {("mlflow-database", "uri"): postgres.address("mlflow")}
    pod = place(graph, deployment, tmp_path_factory.mktemp("pods") / "mlflow", secrets=secrets, ports=[5000])
    pod = replace(pod, more=WORKSPACES)
    pod.run("migrate")
    return pod


@pytest.fixture(scope="session")
def mlflow(mlflow_pod: Pod) -> Iterator[Mlflow]:
    with mlflow_pod.running("mlflow"):
        server = Mlflow(f"http://127.0.0.1:{mlflow_pod.ports[5000]}")
        if WORKSPACES:
            server.give_workspaces()
        yield server


@pytest.fixture(scope="session")
def alpha(trained: Project, mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """What team alpha owns after a training of a generated project, through the settings that its pods get."""
    folder = tmp_path_factory.mktemp("alpha")
    project = copy_of(trained, folder / "project")
    result = json.loads(
        run_mlp(
            project, "train", "--json", env={**client_environment(mlflow, "alpha"), "XDG_CACHE_HOME": str(folder)}
        ).stdout
    )
    assert result["passed"]
    with mlflow.machine("alpha") as client:
        made = client.get("/api/2.0/mlflow/model-versions/get", params={"name": "sample-model", "version": "1"}).json()[
            "model_version"
        ]
        experiment = client.get("/api/2.0/mlflow/runs/get", params={"run_id": made["run_id"]}).json()["run"]["info"][
            "experiment_id"
        ]
    logged = made["source"].removeprefix("models:/")
    return Target(
        experiment=experiment,
        run=made["run_id"],
        logged_model=logged,
        name="sample-model",
        version="1",
        experiment_name="sample-model",
        artifact=f"{experiment}/models/{logged}/artifacts/MLmodel",
    )


@pytest.fixture(scope="session")
def prefect_pod(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    postgres.make_database("prefect")
    graph = prefect_graph()
    secrets = {
        ("prefect-database", "asyncpg_uri"): postgres.address("prefect", "postgresql+asyncpg"),
        ("prefect-auth", "auth-string"): PREFECT_AUTH,
    }
    folder = tmp_path_factory.mktemp("pods") / "prefect"
    pod = place(graph, graph.one("kubernetes:apps/v1:Deployment", "prefect"), folder, secrets=secrets, ports=[4200])
    pod.run("migrate")
    return pod


@pytest.fixture(scope="session")
def prefect_api(prefect_pod: Pod) -> Iterator[httpx.Client]:
    with prefect_pod.running("prefect-server"):
        user, password = PREFECT_AUTH.split(":")
        with httpx.Client(
            base_url=f"http://127.0.0.1:{prefect_pod.ports[4200]}/api", auth=(user, password), timeout=30
        ) as client:
            yield client
