"""Every component registers exactly its annotated outputs, checked on the instances in real programs."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

import platform_lib.infra
from platform_lib.infra.model.endpoint import ModelEndpoint
from platform_lib.infra.model.endpoint_args import ModelEndpointArgs
from tests.infra.harness.graph import run_program
from tests.infra.shared import SHARED
from tests.infra.stacks import AWS_OPTIONS, EXAMPLES, run_stack

Registered = tuple[pulumi.ComponentResource, Mapping[str, Any]]


def component_classes() -> set[type[pulumi.ComponentResource]]:
    """Every component of `platform_lib.infra`, in whichever module."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(platform_lib.infra.__path__, "platform_lib.infra.")
    ]
    classes = {member for module in modules for _, member in inspect.getmembers(module, inspect.isclass)}
    return {
        member
        for member in classes
        if issubclass(member, pulumi.ComponentResource) and member.__module__.startswith("platform_lib.")
    }


def declared(component: type[pulumi.ComponentResource]) -> set[str]:
    """Annotated attributes that are data: Outputs and plain values, also in lists and dictionaries, but not `Any`."""
    own = inspect.get_annotations(component, eval_str=True)
    return {name for name, kind in own.items() if not name.startswith("_") and kind not in (Any, list[Any])}


@pytest.fixture(scope="module")
def registered() -> list[Registered]:
    """(component, what it registered) of every instance in the example stacks and of a model endpoint."""
    found: list[Registered] = []
    original = pulumi.ComponentResource.register_outputs

    def register(self: pulumi.ComponentResource, outputs: Mapping[str, Any]) -> None:
        if type(self).__module__.startswith("platform_lib."):  # the stack itself is one too
            found.append((self, outputs))
        original(self, outputs)  # type: ignore[arg-type]  # any mapping of values

    def endpoint() -> None:
        args = ModelEndpointArgs(
            model="churn",
            namespace="team-red",
            image="registry.invalid/churn@sha256:" + "a" * 64,
            shared=SHARED,
            keys="keys: []\n",
        )
        ModelEndpoint(
            "churn", args, opts=pulumi.ResourceOptions(provider=k8s.Provider("cluster", cluster_identifier="test"))
        )

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pulumi.ComponentResource, "register_outputs", register)
        for name in EXAMPLES:
            run_stack(name, **(AWS_OPTIONS if name == "aws" else {}))
        run_program(endpoint)
    return found


def test_every_component_is_among_the_instances_and_registers_once(registered: list[Registered]) -> None:
    assert {type(component) for component, _ in registered} == component_classes()
    assert len({id(component) for component, _ in registered}) == len(registered)


def test_a_component_registers_exactly_its_declared_outputs(registered: list[Registered]) -> None:
    wrong = {
        type(component).__name__: sorted(declared(type(component)) ^ set(outputs))
        for component, outputs in registered
        if declared(type(component)) != set(outputs)
    }
    assert wrong == {}


def test_each_output_is_registered_under_its_own_name(registered: list[Registered]) -> None:
    swapped = [
        (type(component).__name__, name)
        for component, outputs in registered
        for name, value in outputs.items()
        if getattr(component, name) is not value
    ]
    assert swapped == []
