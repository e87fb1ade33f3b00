"""The platform's namespaces: Pod Security, the CA bundle, and a closed network that each service opens for itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.addresses import Destination
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
from platform_lib.infra.kubernetes.network_policy import ALL_PODS, closed_spec, policy_spec, to_destination
from platform_lib.infra.kubernetes.secret_store import image_pull_secret

CLOSED: Final = (AUTH_NAMESPACE, MLFLOW_NAMESPACE, PREFECT_NAMESPACE)
"""Namespaces in which NetworkPolicies deny all traffic that no policy allows.

The other namespaces run operators that call the API server and serve its webhooks, and a NetworkPolicy cannot select
the API server.
"""


@dataclass(frozen=True, kw_only=True)
class NamespacesArgs:
    """Settings that all namespaces share."""

    mirrors: Mirrors = field(default_factory=Mirrors)
    teams: Sequence[str] = ()
    """Each team gets a closed namespace for its own Prefect."""
    egress: Mapping[str, Sequence[Destination]] = field(default_factory=dict)
    """Namespace → more destinations that its pods may connect to."""
    image_pull_logins: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Registry → `USER:PASSWORD` (secret), for a Secret in every namespace."""

    def __post_init__(self) -> None:
        for team in self.teams:
            prefect_namespace(team)


class Namespaces(pulumi.ComponentResource):
    """One namespace per part of the platform. Use the outputs in `namespaces`, so that resources wait for theirs."""

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
                # Deleting a namespace deletes everything in it, including the database's volumes.
                opts=pulumi.ResourceOptions(parent=self, protect=namespace in (DATABASE_NAMESPACE, MLFLOW_NAMESPACE)),
            )
            self.namespaces[namespace] = made.metadata["name"]
            if args.image_pull_logins:
                image_pull_secret(f"{name}-{namespace}-image-pull", made.metadata["name"], args.image_pull_logins, self)
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
            if more := args.egress.get(namespace):
                k8s.networking.v1.NetworkPolicy(
                    f"{name}-{namespace}-egress",
                    metadata={
                        "name": "more-egress",
                        "namespace": made.metadata["name"],
                        "labels": labels("more-egress", "network"),
                    },
                    spec=policy_spec(ALL_PODS, egress=list(map(to_destination, more))),
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({"namespaces": self.namespaces})
