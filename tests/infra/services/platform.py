"""The platform's own services as a program declares them, and their passwords."""

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pulumi
import pytest

from platform_lib.infra.base.access import DatabaseAccess
from platform_lib.infra.mlflow.server import MlflowServer, MlflowServerArgs
from platform_lib.infra.prefect.server import PrefectServer, PrefectServerArgs
from tests.infra.harness.graph import Call, Fake, Graph, run_program
from tests.infra.services.surface import Target

PASSWORDS = {"alpha": "alpha-password", "beta": "beta-password"}
CI_PASSWORDS = {"alpha": "alpha-ci-password", "beta": "beta-ci-password"}
EDGE_PASSWORD, METRICS_PASSWORD = "edge-password", "metrics-password"
PREFECT_PASSWORD = "prefect-password"
PREFECT_AUTH = f"edge:{PREFECT_PASSWORD}"
UI_HOST = "mlflow.example.com"
ADMINS = "platform-admins"
WORKSPACES = {name: "true" for name in ("MLFLOW_ENABLE_WORKSPACES",) if os.environ.get(name) == "true"}
"""Environment of the server if the tests run with MLflow's own workspaces, each team in one of its own."""
without_workspaces = pytest.mark.skipif(
    bool(WORKSPACES), reason="with workspaces, names are each team's own, and people choose a workspace in the page"
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def mlflow_args(**changed: Any) -> MlflowServerArgs:
    values: dict[str, Any] = {
        "ui_host": UI_HOST,
        "database": DatabaseAccess(secret="mlflow-database"),
        "team_password_hashes": {team: [sha256(password)] for team, password in PASSWORDS.items()},
        "ci_password_hashes": {team: [sha256(password)] for team, password in CI_PASSWORDS.items()},
        "edge_password_hashes": [sha256(EDGE_PASSWORD)],
        "group_teams": {"people-of-alpha": "alpha", "people-of-beta": "beta"},
        "admin_groups": [ADMINS],
        "client_namespaces": ["team-alpha", "team-beta"],
    }
    return MlflowServerArgs(**values | changed)


def mlflow_graph(*, preview: bool = False, **changed: Any) -> Graph:
    """The resource graph of a program that makes one MLflow."""
    return graph_of(lambda: MlflowServer("mlflow", mlflow_args(**changed)), preview=preview)


def graph_of(make: Any, *, preview: bool = False) -> Graph:
    def program() -> None:
        made = make()
        pulumi.export("url", made.url)

    fakes: dict[str, Fake] = {
        "kubernetes:core/v1:ConfigMap": _named,
        "random:index/randomPassword:RandomPassword": lambda call: {
            "result": PREFECT_PASSWORD if call.name == "prefect-auth" else METRICS_PASSWORD
        },
    }
    return run_program(program, preview=preview, fakes=fakes)


def _named(call: Call) -> Mapping[str, Any]:
    """The name that the provider generates if a program gives none."""
    metadata = call.inputs.get("metadata") or {}
    return {"metadata": {**metadata, "name": metadata.get("name") or f"{call.name}-1a2b3c4d"}}


@dataclass(frozen=True, slots=True)
class Mlflow:
    """The shared MLflow, running here."""

    url: str

    def machine(self, team: str, password: str | None = None, workspace: str | None = None) -> httpx.Client:
        """A client with a team's credentials; with MLflow's workspaces, in the team's own unless it says another."""
        return httpx.Client(
            base_url=self.url,
            auth=(team, PASSWORDS[team] if password is None else password),
            timeout=60,
            headers={"X-MLFLOW-WORKSPACE": workspace or team} if WORKSPACES else {},
        )

    def give_workspaces(self) -> None:
        """Make a workspace for each team, where it may create things."""
        with self.person(ADMINS) as admin:
            for team in PASSWORDS:
                assert self.machine(team).get("/version", headers={"X-MLFLOW-WORKSPACE": ""}).status_code == 200
                role = {"name": team, "workspace": team}
                steps: list[tuple[str, dict[str, Any]]] = [("workspaces", {"name": team}), ("roles/create", role)]
                made = [admin.post(f"/api/3.0/mlflow/{path}", json=body) for path, body in steps]
                role_id = made[1].json()["role"]["id"]
                use = {"resource_type": "workspace", "resource_pattern": "*", "permission": "USE"}
                steps = [
                    ("roles/permissions/add", {"role_id": role_id, **use}),
                    ("roles/assign", {"username": team, "role_id": role_id}),
                ]
                made += [admin.post(f"/api/3.0/mlflow/{path}", json=body) for path, body in steps]
                assert all(answer.is_success for answer in made), [answer.text for answer in made]

    def ci(self, team: str) -> httpx.Client:
        """A client with the credentials of a team's CI."""
        return self.machine(team, CI_PASSWORDS[team])

    def person(self, *groups: str, name: str = "kim@example.com") -> httpx.Client:
        """A client as the edge forwards a logged-in person."""
        headers = {"X-Auth-Request-Groups": ",".join(groups), "X-Auth-Request-Email": name}
        return httpx.Client(base_url=self.url, auth=("edge", EDGE_PASSWORD), headers=headers, timeout=60)


def owned(alpha: Target, mlflow: Mlflow) -> Any:
    """Everything that alpha owns, as alpha sees it."""
    with mlflow.machine("alpha") as client:
        model = client.get("/api/2.0/mlflow/registered-models/get", params={"name": alpha.name}).json()
        version = client.get(
            "/api/2.0/mlflow/model-versions/get", params={"name": alpha.name, "version": alpha.version}
        ).json()
        run = client.get("/api/2.0/mlflow/runs/get", params={"run_id": alpha.run}).json()
        file = client.get(f"/api/2.0/mlflow-artifacts/artifacts/{alpha.artifact}")
        logged = client.get(f"/api/2.0/mlflow/logged-models/{alpha.logged_model}").json()
        experiment = client.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": alpha.experiment}).json()
    assert file.status_code == 200
    return model, version, run, sha256(file.text), logged, experiment


def client_environment(mlflow: Mlflow, team: str) -> dict[str, str]:
    """The environment of a pod in a team's namespace."""
    return {
        "MLFLOW_TRACKING_URI": mlflow.url,
        "MLFLOW_TRACKING_USERNAME": team,
        "MLFLOW_TRACKING_PASSWORD": PASSWORDS[team],
        **({"MLFLOW_WORKSPACE": team} if WORKSPACES else {}),
    }


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def prefect_graph(*, preview: bool = False, **changed: Any) -> Graph:
    """The resource graph of a program that makes one Prefect with two teams."""
    values: dict[str, Any] = {
        "ui_host": "prefect.example.com",
        "database": DatabaseAccess(secret="prefect-database", namespace="mlp-database"),
        "team_namespaces": {"alpha": "team-alpha", "beta": "team-beta"},
    }
    return graph_of(lambda: PrefectServer("prefect", PrefectServerArgs(**values | changed)), preview=preview)
