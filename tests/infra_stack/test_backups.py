"""Backups of the Postgres in the cluster, and a new Postgres that starts from one."""

from typing import Any

import pytest

from tests.infra.chart_stubs.charts import facts
from tests.infra.harness.checks import schema_errors
from tests.infra.harness.graph import Graph
from tests.infra.stacks import CA, run_stack

SETTINGS: dict[str, Any] = {
    "backup_uri": "s3://backups/mlp/",
    "backup_keys": "KEY:secret",
    "s3_endpoint": "https://s3.example.com:9000",
    "s3_region": "eu-central-1",
}


def stack(**changes: Any) -> Graph:
    return run_stack("local", secrets=["backup_keys"], **{**SETTINGS, **changes})


def cluster(graph: Graph) -> dict[str, Any]:
    [found] = graph.kubernetes("Cluster")
    return dict(found.inputs["spec"])


@pytest.fixture(scope="module")
def graph() -> Graph:
    return stack()


def test_postgres_archives_its_log_and_makes_a_base_backup_on_the_schedule(graph: Graph) -> None:
    backup = cluster(graph)["backup"]
    assert backup["retentionPolicy"] == "30d"
    assert backup["barmanObjectStore"] == {
        "destinationPath": "s3://backups/mlp",
        "serverName": "postgres",
        "endpointURL": "https://s3.example.com:9000",
        "s3Credentials": {
            "accessKeyId": {"name": "postgres-backup", "key": "access_key_id"},
            "secretAccessKey": {"name": "postgres-backup", "key": "secret_access_key"},
            "region": {"name": "postgres-backup", "key": "region"},
        },
        "wal": {"compression": "gzip"},
        "data": {"compression": "gzip"},
    }
    [schedule] = graph.kubernetes("ScheduledBackup")
    assert schedule.inputs["spec"]["schedule"] == "0 0 2 * * *"  # seconds first
    assert schedule.inputs["spec"]["cluster"] == {"name": "postgres"} and schedule.inputs["spec"]["immediate"]
    [secret] = [r for r in graph.kubernetes("Secret") if r.inputs["metadata"].get("name") == "postgres-backup"]
    assert secret.inputs["stringData"] == {
        "access_key_id": "KEY",
        "secret_access_key": "secret",
        "region": "eu-central-1",
    }
    assert secret.namespace == "mlp-database"


def test_the_objects_match_their_definitions(graph: Graph) -> None:
    assert schema_errors(graph, facts()) == []
    again = stack(ca_bundle=CA, backup_name="postgres-2", restore_backup_of="postgres", restore_time=MOMENT)
    assert schema_errors(again, facts()) == []


def test_without_keys_the_pods_use_their_own_identity() -> None:
    made = stack(backup_keys="", s3_region="")
    assert cluster(made)["backup"]["barmanObjectStore"]["s3Credentials"] == {"inheritFromIAMRole": True}


def test_a_store_behind_a_private_authority_is_trusted() -> None:
    made = stack(ca_bundle=CA)
    assert cluster(made)["backup"]["barmanObjectStore"]["endpointCA"] == {"name": "postgres-backup", "key": "ca.crt"}
    [secret] = [r for r in made.kubernetes("Secret") if r.inputs["metadata"].get("name") == "postgres-backup"]
    assert secret.inputs["stringData"]["ca.crt"] == CA


MOMENT = "2026-11-30T08:15:00+00:00"


def test_a_new_postgres_starts_from_a_backup_and_writes_its_own_to_another_folder() -> None:
    spec = cluster(stack(backup_name="postgres-2", restore_backup_of="postgres", restore_time=MOMENT))
    assert spec["bootstrap"] == {
        "recovery": {
            "source": "backup",
            "database": "mlflow",
            "owner": "mlflow",
            "secret": {"name": "postgres-mlflow"},
            "recoveryTarget": {"targetTime": MOMENT},
        }
    }
    [source] = spec["externalClusters"]
    assert (source["name"], source["barmanObjectStore"]["serverName"]) == ("backup", "postgres")
    assert spec["backup"]["barmanObjectStore"]["serverName"] == "postgres-2"
    assert {role["name"] for role in spec["managed"]["roles"]} == {"prefect", "prefect-demo"}


def test_without_the_setting_nothing_is_backed_up() -> None:
    made = run_stack("local")
    assert "backup" not in cluster(made) and made.kubernetes("ScheduledBackup") == []
