"""An example model endpoint as a Pulumi program and as a resource graph."""

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.model.endpoint import ModelEndpoint
from platform_lib.infra.model.endpoint_args import ModelEndpointArgs
from tests.infra.harness.graph import Graph, run_program
from tests.infra.shared import SHARED

IMAGE = "registry.example.com/churn@sha256:" + "a" * 64
KEYS = "keys:\n- name: shop\n  sha256: " + "b" * 64 + "\n"
ARGS: dict[str, Any] = {
    "model": "churn",
    "namespace": "team-red",
    "image": IMAGE,
    "shared": SHARED,
    "keys": KEYS,
    "exposure": "public",
}


def program(**changes: Any) -> Callable[[], None]:
    """A program that declares the endpoint, with changed arguments."""

    def declare() -> None:
        cluster = k8s.Provider("cluster", cluster_identifier="test")
        ModelEndpoint("churn", ModelEndpointArgs(**{**ARGS, **changes}), opts=pulumi.ResourceOptions(provider=cluster))

    return declare


def graph(**changes: Any) -> Graph:
    """The resource graph of the endpoint, with changed arguments."""
    return run_program(program(**changes))
