"""What `pulumi up` does when a stack moves: nothing that holds data is lost without its protection being taken away."""

from typing import Any

import pytest

from tests.infra.harness.graph import Graph
from tests.infra.harness.plan import plan
from tests.infra.stacks import prefect_urls, run_stack
from tests.infra_stack.accepted import is_stateful

BUCKET = {"artifacts_uri": "s3://ml-artifacts/mlflow", "s3_access_key_id": "KEY", "s3_secret_access_key": "secret"}
EXTERNAL = {
    "mlflow_database_url": "postgresql://mlflow:x@db.example.com:5432/mlflow",
    "prefect_database_url": "postgresql://prefect:x@db.example.com:5432/prefect",
    "team_prefect_database_urls": prefect_urls("demo"),
}


@pytest.fixture(scope="module")
def before() -> Graph:
    return run_stack("local")


def steps(before: Graph, **changes: Any) -> dict[tuple[str, str], str]:
    """(kind or type, name) → step."""
    after = run_stack(
        "local", secrets=[key for key in changes if key.endswith(("_id", "_key", "_url", "_urls"))], **changes
    )
    known = {r.urn: (str(r.inputs.get("kind") or r.type), r.name) for graph in (before, after) for r in graph.resources}
    return {known[urn]: step for urn, step in plan(before, after).items()}


def lost(before: Graph, found: dict[tuple[str, str], str]) -> set[str]:
    """Names of resources with data that would be deleted or replaced."""
    stateful = {(str(r.inputs.get("kind") or r.type), r.name) for r in before.resources if is_stateful(r)}
    return {name for (kind, name), step in found.items() if step in ("delete", "replace") and (kind, name) in stateful}


def protected(before: Graph) -> set[str]:
    return {r.name for r in before.resources if r.opts.get("protect")}


def test_from_a_volume_to_a_bucket_only_the_protected_claim_would_go(before: Graph) -> None:
    found = steps(before, **BUCKET)
    assert lost(before, found) == {"mlflow-artifacts"} <= protected(before)
    assert found["Deployment", "mlflow"] == "update"


def test_from_the_clusters_postgres_to_another_only_the_protected_cluster_and_its_parts_go(before: Graph) -> None:
    found = steps(before, **EXTERNAL)
    gone = lost(before, found)
    assert "database" in gone & protected(before)
    assert gone == {"database", "database-operator", "database-mlflow", "database-prefect", "database-prefect-demo"}
    # Pods read the address from a Secret whose new name rolls them.
    assert found["Deployment", "mlflow"] == found["Deployment", "prefect"] == "update"


def test_another_domain_loses_nothing(before: Graph) -> None:
    found = steps(before, domain="ml.example.org")
    assert lost(before, found) == set()
    replaced = {kind for (kind, _), step in found.items() if step in ("replace", "delete")}
    assert replaced <= {"ConfigMap"}
    assert ("IngressRoute", "mlflow-ui-route") in found or any(kind == "IngressRoute" for kind, _ in found)
