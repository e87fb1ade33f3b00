"""The shared MLflow with the command, environment and probes of its Deployment on a real Postgres."""

import httpx
import pytest

from tests.infra.services.containers import Pod
from tests.infra.services.platform import METRICS_PASSWORD, UI_HOST, Mlflow, basic

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("platform-services")]


def test_it_starts_answers_its_probes_and_keeps_its_data_in_postgres(mlflow: Mlflow, mlflow_pod: Pod) -> None:
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert httpx.get(mlflow_pod.probe_url("mlflow", probe)).text == "OK"


def test_replicas_can_migrate_the_schema_concurrently(mlflow: Mlflow, mlflow_pod: Pod) -> None:
    said = mlflow_pod.run("migrate")

    assert "Creating initial MLflow database tables" not in said
    assert mlflow.machine("alpha").get("/version").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (UI_HOST, 200),
        ("mlflow.mlp-mlflow:5000", 200),
        ("mlflow.mlp-mlflow.svc.cluster.local", 200),
        ("10.3.2.1:5000", 200),
        ("100.72.3.4:5000", 200),
        ("[fd00::7]:5000", 200),
        ("10.evil.example.com", 403),
        ("evil.example.com", 403),
    ],
)
def test_it_responds_only_to_its_own_host_names(mlflow: Mlflow, host: str, status: int) -> None:
    answer = mlflow.machine("alpha").get("/api/2.0/mlflow/users/current", headers={"Host": host})

    assert answer.status_code == status


@pytest.mark.parametrize(("origin", "status"), [(f"https://{UI_HOST}", 200), ("https://evil.example.com", 403)])
def test_only_its_own_pages_may_post(mlflow: Mlflow, origin: str, status: int) -> None:
    answer = mlflow.person("people-of-alpha").post(
        "/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 5}, headers={"Origin": origin}
    )

    assert answer.status_code == status


def test_only_monitoring_may_read_metrics(mlflow: Mlflow) -> None:
    scraped = httpx.get(f"{mlflow.url}/metrics", headers={"Authorization": basic("metrics", METRICS_PASSWORD)})

    assert "mlflow_http_request_total" in scraped.text
    assert mlflow.machine("alpha").get("/metrics").status_code == 403
    assert httpx.get(f"{mlflow.url}/metrics").status_code == 401
    with_metrics_password = httpx.get(
        f"{mlflow.url}/api/2.0/mlflow/users/list", headers={"Authorization": basic("metrics", METRICS_PASSWORD)}
    )
    assert with_metrics_password.status_code == 403
