"""The life cycle of the shared stack and of a model stack on a simulated cloud with a small engine."""

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from platform_lib.names import OUTPUTS_CONFIG_MAP
from tests.infra.harness.engine import EngineError, StackState, Steps
from tests.infra.harness.simulator import Cloud
from tests.infra.stacks import EXAMPLES, PROJECT, SECRETS, prefect_urls, program, settings

pytestmark = pytest.mark.slow


def names(steps: Steps) -> set[tuple[str, str]]:
    return {(step, urn.rpartition("::")[2]) for urn, step in steps.items()}


class Shared:
    """The shared stack with the settings of an example."""

    def __init__(self, name: str) -> None:
        self.name, self.cloud = name, Cloud()
        self.state = StackState(self.cloud, PROJECT, name)

    def up(self, **changes: Any) -> Steps:
        return self.state.up(
            program(), settings(self.name, **changes), [f"{PROJECT}:{key}" for key in SECRETS[self.name]]
        )

    def preview(self, **changes: Any) -> Steps:
        return self.state.preview(
            program(), settings(self.name, **changes), [f"{PROJECT}:{key}" for key in SECRETS[self.name]]
        )


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_stack_is_created_updated_and_destroyed(name: str) -> None:
    stack = Shared(name)

    planned = stack.preview()
    assert set(planned.values()) == {"create"} and not stack.cloud.objects
    assert stack.up() == planned
    made = len(stack.cloud.objects)
    assert stack.preview() == {} and stack.up() == {}

    changed = stack.up(team_cpu=64)
    assert changed and {(step, urn.rpartition("-")[2]) for urn, step in changed.items()} == {("update", "quota")}

    stack.cloud.lose("Middleware", "security-headers")
    lost = stack.state.refresh()
    assert list(lost.values()) == ["delete"]
    assert stack.up(team_cpu=64) == dict.fromkeys(lost, "create")

    with pytest.raises(EngineError, match="protected: "):
        stack.state.destroy()
    assert len(stack.cloud.objects) == made
    stack.state.destroy(unprotected=True)
    assert stack.cloud.objects == {}


def test_a_partial_failure_loses_nothing_and_the_next_up_finishes() -> None:
    stack = Shared("local")
    stack.cloud.failing = {"create:edge-traefik"}
    with pytest.raises(EngineError, match="edge-traefik: told to fail"):
        stack.up()
    before = set(stack.cloud.objects)
    assert before

    stack.cloud.failing = set()
    finished = stack.up()
    assert set(finished.values()) == {"create"} and "edge-traefik" in {name for _, name in names(finished)}
    assert before < set(stack.cloud.objects)
    assert stack.up() == {}


def test_adding_a_team_changes_no_other_team_and_no_data() -> None:
    stack = Shared("team")
    stack.up()
    more = stack.up(teams=["churn", "fraud", "new"], team_prefect_database_urls=prefect_urls("churn", "fraud", "new"))
    assert set(more.values()) <= {"create", "update", "replace"}
    touched = {name for step, name in names(more) if step != "create"}
    # MLflow gets the new team's password hash and admits its namespace; people sign out at the host of the team's
    # Prefect as well. Its certificate is its own.
    assert touched == {"mlflow", "mlflow-access", "login-route"}
    assert not [name for _, name in names(more) if "churn" in name or "fraud" in name]


def test_removing_a_team_is_refused_while_its_namespace_is_protected() -> None:
    stack = Shared("team")
    stack.up()
    with pytest.raises(EngineError, match="protected: team-fraud"):
        stack.up(
            teams=["churn"],
            team_prefect_database_urls=prefect_urls("churn"),
            team_request_log_keys=[],
            team_models=[],
            team_groups=[],
            team_ci_groups=[],
            ui_groups=[],
        )


def model_stack(shared: str) -> Callable[[], None]:
    """A stack that reads the shared one by stack reference."""

    def main() -> None:
        reference = pulumi.StackReference(shared)
        cluster = k8s.Provider("cluster", cluster_identifier="test")
        data = {"tracking": reference.require_output("mlflow_url")}
        k8s.core.v1.ConfigMap(
            "settings", metadata={"namespace": "team-demo"}, data=data, opts=pulumi.ResourceOptions(provider=cluster)
        )
        pulumi.export("models_host", reference.require_output("models_host"))

    return main


def test_a_model_stack_reads_the_shared_one_and_both_can_be_destroyed() -> None:
    shared = Shared("local")
    shared.up()
    reference = f"organization/{PROJECT}/local"
    model = StackState(shared.cloud, "churn-model", "production", others={reference: shared.state})
    assert "create" in model.up(model_stack(reference), {}).values()
    assert model.outputs == {"models_host": "models.ml.localhost.example"}
    assert model.up(model_stack(reference), {}) == {}

    moved = shared.up(domain="ml.example.org")
    assert ("replace", OUTPUTS_CONFIG_MAP) in names(moved)
    model.up(model_stack(reference), {})
    assert model.outputs == {"models_host": "models.ml.example.org"}

    model.destroy()
    shared.state.destroy(unprotected=True)
    assert shared.cloud.objects == {}
