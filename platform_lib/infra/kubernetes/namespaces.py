"""The platform's namespaces: who may run what in them, and the closed network that every service opens for itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import labels, pod_security
from platform_lib.infra.base.mirrors import CA_CONFIG_MAP, Mirrors
from platform_lib.infra.base.naming import (
    AUTH_NAMESPACE,
    DATABASE_NAMESPACE,
    MLFLOW_NAMESPACE,
    PLATFORM_NAMESPACES,
    PREFECT_NAMESPACE,
    prefect_namespace,
)
from platform_lib.infra.kubernetes.network_policy import closed_spec

CLOSED: Final = (AUTH_NAMESPACE, MLFLOW_NAMESPACE, PREFECT_NAMESPACE)
"""Namespaces where no pod is reached or reaches anything but what a policy allows. The others hold operators that talk to the API server
and answer its webhooks: Kubernetes has no way to name the API server in a NetworkPolicy."""


@dataclass(frozen=True, kw_only=True)
class NamespacesArgs:
    """What all namespaces share."""

    mirrors: Mirrors = field(default_factory=Mirrors)
    teams: Sequence[str] = ()
    """Each gets a closed namespace for its own Prefect."""

    def __post_init__(self) -> None:
        for team in self.teams:
            prefect_namespace(team)


class Namespaces(pulumi.ComponentResource):
    """One namespace for each part of the platform. `namespaces` are outputs: what is put into one waits for it."""

    namespaces: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: NamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Foundation", name, None, opts)
        self.namespaces = {}
        own = tuple(prefect_namespace(team) for team in args.teams)
        for namespace in (*PLATFORM_NAMESPACES, *own):
            made = k8s.core.v1.Namespace(
                f"{name}-{namespace}",
                metadata={
                    "name": namespace,
                    "labels": {**labels(namespace, "namespace"), **pod_security("restricted")},
                },
                # A namespace that goes takes everything in it along, the database's volumes too.
                opts=pulumi.ResourceOptions(parent=self, protect=namespace in (DATABASE_NAMESPACE, MLFLOW_NAMESPACE)),
            )
            self.namespaces[namespace] = made.metadata["name"]
            if args.mirrors.ca_bundle:
                k8s.core.v1.ConfigMap(
                    f"{name}-{namespace}-ca",
                    metadata={
                        "name": CA_CONFIG_MAP,
                        "namespace": made.metadata["name"],
                        "labels": labels(CA_CONFIG_MAP, "trust"),
                    },
                    data={"ca.crt": args.mirrors.ca_bundle},
                    opts=pulumi.ResourceOptions(parent=self),
                )
            if namespace in (*CLOSED, *own):
                k8s.networking.v1.NetworkPolicy(
                    f"{name}-{namespace}-closed",
                    metadata={
                        "name": "closed",
                        "namespace": made.metadata["name"],
                        "labels": labels("closed", "network"),
                    },
                    spec=closed_spec(),
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({"namespaces": self.namespaces})
