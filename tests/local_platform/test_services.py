"""The settings of the platform's services: loopback only, local state, no telemetry."""

from pathlib import Path

import pytest

from platform_lib.local_platform.service import Service
from platform_lib.local_platform.services import define
from platform_lib.settings import Project

PASSWORD = "secret"
PORTS = {"mlflow": 5001, "prefect": 4201, "models": 8001, "runner": 4301}


@pytest.fixture
def services(tmp_path: Path) -> dict[str, Service]:
    project = Project(root=tmp_path, name="churn-model", package="churn_model")
    return {service.name: service for service in define(project, PORTS, PASSWORD)}


def test_each_listens_on_loopback_at_its_port(services: dict[str, Service]) -> None:
    assert {name: service.url for name, service in services.items()} == {
        "mlflow": "http://127.0.0.1:5001",
        "prefect": "http://127.0.0.1:4201",
        "models": "http://127.0.0.1:8001",
        "runner": "http://127.0.0.1:4301",
    }


def test_no_setting_refers_to_another_project(services: dict[str, Service], tmp_path: Path) -> None:
    assert services["mlflow"].command[-4:] == ("--database", str(tmp_path / ".mlp" / "mlflow.db"), "--port", "5001")
    assert services["prefect"].env["PREFECT_HOME"] == str(tmp_path / ".mlp" / "prefect")
    assert services["runner"].env["PREFECT_HOME"] == str(tmp_path / ".mlp" / "prefect")


def test_telemetry_is_off(services: dict[str, Service]) -> None:
    assert services["mlflow"].env["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert services["prefect"].env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_the_model_server_reads_the_store_and_the_runner_uses_these_servers(
    services: dict[str, Service], tmp_path: Path
) -> None:
    assert services["models"].env["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path.as_posix()}/.mlp/mlflow.db"
    assert services["runner"].env["MLFLOW_TRACKING_URI"] == services["mlflow"].url
    assert services["runner"].env["PREFECT_API_URL"] == f"{services['prefect'].url}/api"


def test_a_service_with_other_settings_has_another_fingerprint(tmp_path: Path) -> None:
    project = Project(root=tmp_path, name="churn-model", package="churn_model")
    same = [service.fingerprint for service in define(project, PORTS, PASSWORD)]
    moved = [service.fingerprint for service in define(project, PORTS | {"mlflow": 5002}, PASSWORD)]
    assert same == [service.fingerprint for service in define(project, PORTS, PASSWORD)]
    # MLflow itself, and the runner, which gets its address.
    assert [a == b for a, b in zip(same, moved, strict=True)] == [False, True, True, False]
    other = [service.fingerprint for service in define(project, PORTS, "another")]
    assert [a == b for a, b in zip(same, other, strict=True)] == [False, False, True, False]


def test_the_password_is_on_no_command_line(services: dict[str, Service]) -> None:
    assert not [word for service in services.values() for word in service.command if PASSWORD in word]
