"""The apply engine on a small program, because the tests of the real stacks rely on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from tests.infra.harness.apply import ApplyError, Stack
from tests.infra.harness.graph import Graph, run_program
from tests.k8slab.lab import Lab

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]


def program(
    *,
    greeting: str = "hello",
    image: str = "local/web:1",
    ready: bool = True,
    order: bool = True,
    protect: bool = False,
) -> Callable[[], None]:
    """A namespace, a config with an automatic name, and pods that read it behind a service."""

    def main() -> None:
        provider = kubernetes.Provider("cluster", kubeconfig="{}")
        opts = pulumi.ResourceOptions(provider=provider)
        space = kubernetes.core.v1.Namespace(
            "space", metadata={"name": "apply-itself", "labels": {"team": "none"}}, opts=opts
        )
        inside = pulumi.ResourceOptions(provider=provider, depends_on=[space] if order else [])
        meta = {"namespace": "apply-itself"}
        config = kubernetes.core.v1.ConfigMap("config", metadata=meta, data={"greeting": greeting}, opts=inside)
        reads = {
            "name": "GREETING",
            "valueFrom": {"configMapKeyRef": {"name": config.metadata["name"], "key": "greeting"}},
        }
        annotations = {} if ready else {"k8slab/ready": "false"}
        template = {
            "metadata": {"labels": {"app": "web"}, "annotations": annotations},
            "spec": {
                "containers": [{"name": "web", "image": image, "env": [reads], "ports": [{"containerPort": 8000}]}]
            },
        }
        spec = {"selector": {"matchLabels": {"app": "web"}}, "progressDeadlineSeconds": 2, "template": template}
        kubernetes.apps.v1.Deployment("web", metadata={**meta, "name": "web"}, spec=spec, opts=inside)
        service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}
        kubernetes.core.v1.Service(
            "web",
            metadata={**meta, "name": "web"},
            spec=service,
            opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(protect=protect)),
        )

    return main


def graph(**settings: object) -> Graph:
    return run_program(program(**settings))  # type: ignore[arg-type]


@pytest.fixture
def stack(lab: Lab, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(lab, tmp_path)
    yield stack
    stack.destroy(lift_protection=True)


def test_a_second_up_changes_nothing_a_change_only_what_it_names_and_destroy_leaves_nothing(stack: Stack) -> None:
    before = stack.objects.snapshot()
    assert stack.up(graph()).names == {"created": ["config", "space", "web", "web"]}

    deployed = stack.objects.snapshot()
    assert stack.up(graph()).names == {}
    assert stack.objects.snapshot() == deployed

    assert stack.up(graph(image="local/web:2")).names == {"updated": ["web"]}
    assert stack.up(graph(image="local/web:2", greeting="good day")).names == {
        "created": ["config"],
        "updated": ["web"],
        "deleted": ["config"],
    }

    stack.destroy()
    assert stack.objects.snapshot().keys() == before.keys()


def test_a_failed_rollout_is_reported_with_its_reason_and_the_next_up_finishes(stack: Stack) -> None:
    with pytest.raises(ApplyError, match=r"::web: .*timed out progressing.*container web runs and is not ready"):
        stack.up(graph(ready=False))
    stack.up(graph())


def test_an_order_that_nothing_declares_is_not_kept(stack: Stack) -> None:
    with pytest.raises(ApplyError, match='namespaces "apply-itself" not found'):
        stack.up(graph(order=False))


def test_what_is_protected_is_not_destroyed(stack: Stack) -> None:
    stack.up(graph(protect=True))
    with pytest.raises(ApplyError, match="protected"):
        stack.destroy()


def test_a_misspelt_field_and_anothers_object_are_refused(stack: Stack, lab: Lab) -> None:
    lab.kubectl("create", "namespace", "apply-itself")
    with pytest.raises(ApplyError, match="exists already"):
        stack.up(graph())
    lab.kubectl("delete", "namespace", "apply-itself")

    wrong = graph()
    wrong.one("kubernetes:apps/v1:Deployment").inputs["spec"]["template"]["spec"]["containers"][0][
        "imagePullPolicies"
    ] = "Always"
    with pytest.raises(ApplyError, match=r"imagePullPolicies: field not declared in schema"):
        stack.up(wrong)


def test_the_stub_charts_hold_values_to_the_real_charts_schemas(lab: Lab, tmp_path: Path, chart_mirror: Path) -> None:
    wrong = {
        "name": "traefik",
        "namespace": "default",
        "chart": str(chart_mirror / "traefik"),
        "values": {"globalArguments": []},
    }
    with pytest.raises(RuntimeError, match="globalArguments"):
        Stack(lab, tmp_path).releases.upgrade(wrong)
