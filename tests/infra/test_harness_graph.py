"""The harness: graphs of programs, and plans between two graphs."""

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
import pytest
from pulumi import Alias, Output, ResourceOptions

from tests.infra.harness.graph import run_program
from tests.infra.harness.plan import plan
from tests.infra.harness.wire import UNKNOWN, Secret


class Box(pulumi.ComponentResource):
    """A component with one child of its own name."""

    def __init__(self, name: str, text: str = "x", opts: ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Box", name, None, opts)
        namespace = k8s.core.v1.Namespace(
            name, metadata={"name": "box", "labels": {"text": text}}, opts=ResourceOptions(parent=self, protect=True)
        )
        self.register_outputs({"name": namespace.metadata["name"]})


def box(name: str, **options: Any) -> Callable[[], None]:
    def declare() -> None:
        Box(name, opts=ResourceOptions(**options))

    return declare


@pytest.mark.parametrize("preview", [False, True])
def test_secrets_are_recorded_by_path_and_never_written_out(*, preview: bool) -> None:
    def program() -> None:
        password = random.RandomPassword("password", length=20)
        k8s.core.v1.ConfigMap(
            "settings",
            data={"url": Output.concat("postgres://", password.result), "user": pulumi.Config().require_secret("user")},
        )
        pulumi.export("password", password.result)

    graph = run_program(program, config={"project:user": "root"}, secret_config=["project:user"], preview=preview)
    assert graph.one("kubernetes:core/v1:ConfigMap").secret_inputs == {"data.url", "data.user"}
    assert graph.secret_outputs == {"password"}
    assert (graph.outputs["password"] is UNKNOWN) == preview
    assert "root" not in str(graph.as_data()) and "password-x" not in str(graph.as_data())


def test_duplicate_names_failing_applies_and_unknown_functions_fail_the_run() -> None:
    def twice() -> None:
        Box("a")
        Box("a")

    def failing() -> None:
        k8s.core.v1.ConfigMap("a", data={}).metadata.apply(lambda _: 1 / 0)

    with pytest.raises(Exception, match="Duplicate resource URN"):
        run_program(twice)
    with pytest.raises(ZeroDivisionError):
        run_program(failing)
    with pytest.raises(Exception, match="unknown stack"):
        run_program(lambda: pulumi.StackReference("organization/other/dev") and None)


def test_transforms_run() -> None:
    def program() -> None:
        def label(args: Any) -> Any:
            return (
                pulumi.ResourceTransformResult({**args.props, "immutable": True}, args.opts)
                if args.type_.endswith(":ConfigMap")
                else None
            )

        pulumi.runtime.register_resource_transform(label)
        k8s.core.v1.ConfigMap("a", data={})

    assert run_program(program).one("kubernetes:core/v1:ConfigMap").inputs["immutable"] is True


def test_a_stack_reference_returns_the_other_stacks_outputs() -> None:
    def program() -> None:
        shared = pulumi.StackReference("organization/shared/dev")
        pulumi.export("url", shared.require_output("url"))
        pulumi.export("token", shared.require_output("token"))

    graph = run_program(program, stacks={"organization/shared/dev": {"url": "https://x", "token": Secret("t")}})
    assert graph.outputs["url"] == "https://x" and graph.secret_outputs == {"token"}


def test_a_plan_names_creations_updates_replacements_and_deletions() -> None:
    def before() -> None:
        Box("data")
        k8s.core.v1.ConfigMap("settings", data={"a": "1"})
        k8s.core.v1.ServiceAccount("account")

    def after() -> None:
        Box("data", text="y")
        k8s.core.v1.ConfigMap("settings", data={"a": "2"})
        k8s.core.v1.Service("service", spec={})

    old = run_program(before)
    assert plan(old, old) == {}
    assert {urn.rpartition("::")[2]: step for urn, step in plan(old, run_program(after)).items()} == {
        "data": "update",
        "settings": "replace",
        "service": "create",
        "account": "delete",
    }


def test_a_rename_would_replace_and_one_alias_on_the_component_carries_its_children() -> None:
    old = run_program(box("data"))
    assert sorted(plan(old, run_program(box("files"))).values()) == ["create", "create", "delete", "delete"]
    assert set(plan(old, run_program(box("files", aliases=[Alias(name="data")]))).values()) <= {"update"}
