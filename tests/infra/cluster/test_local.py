"""The example stack `local` on a real API server, and a generated `deploy/` with the permissions of a team's CI."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import copier
import pytest

from platform_lib.errors import ServiceError
from platform_lib.infra.base.versions import CHARTS
from platform_lib.names import OUTPUTS_CONFIG_MAP
from platform_lib.operations.deploy import Deployed, deploy
from tests.infra.harness.apply import ApplyError, Stack
from tests.infra.harness.graph import Graph
from tests.infra.harness.objects import Reference
from tests.infra.programs import model_graph
from tests.infra.stacks import run_stack
from tests.k8slab.lab import Lab

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

DEFINITION = "CustomResourceDefinition"  # Helm leaves them behind on purpose: with them every object of theirs would go
TEAM = "team-demo"
DIGEST = "registry.invalid/churn-model@sha256:" + "0" * 64
KEYS = "keys:\n- name: shop\n  sha256: " + "a1" * 32 + "\n  scopes: [predict]\n"


def things(stack: Stack) -> set[Reference]:
    return {reference for reference in stack.objects.snapshot() if reference.kind != DEFINITION}


@pytest.fixture(scope="module")
def before(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> set[Reference]:
    return things(Stack(lab, tmp_path_factory.mktemp("before")))


@pytest.fixture(scope="module")
def shared(chart_mirror: Path) -> Callable[..., Graph]:
    return lambda **changes: run_stack("local", chart_mirror=str(chart_mirror), **changes)


@pytest.fixture(scope="module")
def platform(
    lab: Lab, before: set[Reference], shared: Callable[..., Graph], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    stack = Stack(lab, tmp_path_factory.mktemp("local"))
    try:
        stack.up(shared())
        yield stack
    finally:
        stack.destroy(lift_protection=True)


@pytest.fixture(scope="module")
def folder(template_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "project"
    answers = {"project_name": "churn-model", "deploy_target": "kubernetes", "repository_owner": "demo"}
    copier.run_copy(str(template_source), folder, data=answers, defaults=True, quiet=True)
    (folder / "deploy" / "keys.yaml").write_text(KEYS, encoding="utf-8")
    return folder / "deploy"


@pytest.fixture
def model(platform: Stack, folder: Path) -> Callable[..., Graph]:
    """`deploy/` with the outputs that the platform published in the team's namespace."""
    published = platform.objects.get(Reference("v1", "ConfigMap", TEAM, OUTPUTS_CONFIG_MAP))
    assert published

    def make(**changes: Any) -> Graph:
        made = model_graph(folder, "production", published["data"], **{"image": DIGEST, **changes})
        made.one("kubernetes:apps/v1:Deployment").inputs["spec"]["minReadySeconds"] = (
            0  # fake pods need no time to prove themselves
        )
        return made

    return make


@pytest.fixture
def endpoint(platform: Stack, tmp_path: Path) -> Iterator[Stack]:
    """The model stack, with the rights of the team's CI and no others."""
    stack = Stack(platform.objects.lab, tmp_path, as_user=f"system:serviceaccount:{TEAM}:deployer")
    yield stack
    stack.destroy(lift_protection=True)


def test_everything_is_accepted_and_rolls_out_and_a_second_up_changes_nothing(
    platform: Stack, shared: Callable[..., Graph]
) -> None:
    deployed = platform.objects.snapshot()
    assert platform.up(shared()).names == {}
    assert platform.objects.snapshot() == deployed
    installed = platform.releases.listed()
    assert len(installed) >= 4
    assert {name: f"{name}-{CHARTS[name].version}" for name in installed} == installed


def test_the_admission_policy_is_understood_by_the_api_server(platform: Stack) -> None:
    policy = platform.objects.get(
        Reference("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "", "mlp-team-routes")
    )
    assert policy and policy["status"]["typeChecking"] == {}  # it would hold warnings


def test_a_changed_setting_touches_what_it_should_and_nothing_else(
    platform: Stack, shared: Callable[..., Graph]
) -> None:
    changed = platform.up(shared(metrics_retention_days=3))
    assert [urn.rpartition("::")[0].rpartition("$")[2] for urn in changed.updated] == ["kubernetes:helm.sh/v3:Release"]
    assert (changed.created, changed.deleted) == ([], [])

    more = platform.up(
        shared(metrics_retention_days=3, teams=["demo", "second"], team_models=["demo=churn-*", "second=second"])
    )
    with pytest.raises(ApplyError, match=r"protected.*::team-second"):  # a team's namespace holds its request logs
        platform.up(shared())
    platform.up(shared(), lift_protection=True)
    assert {urn for urn in more.created if "second" not in urn} == set()
    touched = sorted(urn.rpartition("::")[0].rpartition(":")[2] for urn in more.updated)
    # the role of its Prefect; demo's models; who reaches MLflow; whom MLflow knows: no pod is restarted. Its host has a
    # certificate of its own, so the others' certificates are not issued again.
    assert touched == ["Cluster", "Namespace", "NetworkPolicy", "Secret"]


def test_a_service_that_never_gets_ready_ends_the_up_with_the_reason_and_the_next_one_finishes(
    platform: Stack, shared: Callable[..., Graph]
) -> None:
    broken = shared()
    spec = broken.one("kubernetes:apps/v1:Deployment", "mlflow").inputs["spec"]
    spec["progressDeadlineSeconds"] = 8
    spec["template"]["metadata"].setdefault("annotations", {})["k8slab/ready"] = "false"
    with pytest.raises(
        ApplyError, match=r"::mlflow: Deployment mlp-mlflow/mlflow: .*timed out progressing.* is not ready"
    ):
        platform.up(broken)
    platform.up(shared())


def test_a_model_rolls_out_with_the_rights_of_ci_and_destroy_leaves_nothing(
    platform: Stack, endpoint: Stack, model: Callable[..., Graph]
) -> None:
    before = platform.objects.snapshot()
    assert len(endpoint.up(model()).created) >= 12

    deployed = platform.objects.snapshot()
    assert endpoint.up(model()).names == {}
    assert platform.objects.snapshot() == deployed

    endpoint.destroy()
    assert platform.objects.snapshot().keys() == before.keys()


def test_a_new_image_touches_the_deployment_alone_and_new_keys_roll_the_pods(
    endpoint: Stack, model: Callable[..., Graph], folder: Path
) -> None:
    endpoint.up(model())
    newer = DIGEST.replace("0" * 64, "2" * 64)
    assert endpoint.up(model(image=newer)).names == {"updated": ["churn-model"]}

    (folder / "keys.yaml").write_text(KEYS.replace("shop", "till"), encoding="utf-8")
    assert endpoint.up(model(image=newer)).names == {
        "created": ["churn-model-keys"],
        "updated": ["churn-model"],
        "deleted": ["churn-model-keys"],
    }
    (folder / "keys.yaml").write_text(KEYS, encoding="utf-8")


def test_every_setting_of_an_endpoint_is_taken_and_its_log_is_kept(
    platform: Stack, endpoint: Stack, model: Callable[..., Graph], shared: Callable[..., Graph]
) -> None:
    platform.up(shared(request_rate_scaling=True))
    more = {
        "requests_per_s_per_replica": "50",
        "request_log": "volume",
        "oidc_issuer": "https://issuer.invalid",
        "oidc_audience": "churn",
        "version": "7",
    }
    endpoint.up(model(**more))
    assert platform.objects.get(Reference("keda.sh/v1alpha1", "ScaledObject", TEAM, "churn-model"))
    endpoint.up(model(**more, exposure="cluster"))
    assert not platform.objects.get(Reference("traefik.io/v1alpha1", "IngressRoute", TEAM, "churn-model"))

    with pytest.raises(ApplyError, match="protected"):  # the log's volume does not go by a change of mind
        endpoint.up(model())
    endpoint.destroy(lift_protection=True)
    claim = Reference("v1", "PersistentVolumeClaim", TEAM, "churn-model-log")
    assert platform.objects.get(claim), "the request log is kept when the endpoint goes"
    platform.objects.delete(claim)


def test_a_model_that_never_gets_ready_or_may_not_run_ends_the_up_with_the_reason(
    endpoint: Stack, model: Callable[..., Graph]
) -> None:
    broken = model()
    deployment = broken.one("kubernetes:apps/v1:Deployment").inputs["spec"]
    deployment["progressDeadlineSeconds"] = 5
    deployment["template"]["metadata"].setdefault("annotations", {})["k8slab/ready"] = "false"
    with pytest.raises(
        ApplyError, match=r"churn-model: Deployment team-demo/churn-model: .*timed out progressing.* is not ready"
    ):
        endpoint.up(broken)

    deployment["template"]["metadata"]["annotations"] = {}
    deployment["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(ApplyError, match=r"violates PodSecurity .restricted"):
        endpoint.up(broken)
    endpoint.up(model())


class OnCluster:
    """Engine for `mlp deploy` on this cluster. Pods with a broken image never become ready."""

    def __init__(self, stack: Stack, graph: Callable[..., Graph], broken: tuple[str, ...]) -> None:
        self._stack, self._graph, self._broken = stack, graph, broken
        self._outputs: dict[str, Any] = {}

    def preview(self, image: str) -> dict[str, int]:
        return {}

    def up(self, image: str) -> None:
        made = self._graph(image=image)
        if image in self._broken:
            deployment = made.one("kubernetes:apps/v1:Deployment").inputs["spec"]
            deployment["progressDeadlineSeconds"] = 5
            deployment["template"]["metadata"].setdefault("annotations", {})["k8slab/ready"] = "false"
        try:
            self._stack.up(made)
        except ApplyError as err:
            raise ServiceError(str(err)) from err
        self._outputs = made.outputs

    def outputs(self) -> dict[str, Any]:
        return self._outputs


def test_mlp_deploy_goes_back_to_the_image_before_when_the_next_never_gets_ready(
    endpoint: Stack, model: Callable[..., Graph]
) -> None:
    newer = DIGEST.replace("0" * 64, "3" * 64)
    engine = OnCluster(endpoint, model, broken=(newer,))
    said: list[str] = []

    def put(image: str) -> Deployed | None:
        return deploy(engine, image, smoke=lambda _: None, agree=lambda *_: True, say=said.append)

    assert put(DIGEST) is not None
    with pytest.raises(ServiceError, match="timed out progressing"):
        put(newer)
    assert said[-1] == f"{DIGEST} is running again."
    live = endpoint.objects.get(Reference("apps/v1", "Deployment", TEAM, "churn-model"))
    assert live is not None
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == DIGEST
    assert live["status"]["updatedReplicas"] == live["status"]["availableReplicas"] == live["status"]["replicas"]


def test_destroy_is_refused_while_data_is_protected_and_leaves_nothing_when_it_is_lifted(
    platform: Stack, before: set[Reference]
) -> None:
    with pytest.raises(ApplyError, match="protected"):
        platform.destroy()
    platform.destroy(lift_protection=True)
    assert things(platform) - before == set()
