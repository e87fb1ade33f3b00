"""The existing Kubernetes cluster that a stack deploys to, found through a kubeconfig. Creates no cluster."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """Which cluster to use."""

    kubeconfig: pulumi.Input[str] | None = None
    """Path or content; None uses what `kubectl` would use: $KUBECONFIG, or ~/.kube/config without it."""
    context: str = ""
    """Context in the kubeconfig; empty uses the current one. If set, switching contexts cannot redirect the stack."""


class Cluster(pulumi.ComponentResource):
    """An existing Kubernetes cluster. Pass its `provider` to every component."""

    provider: Any

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Cluster", name, None, opts)
        self.provider = k8s.Provider(
            name,
            kubeconfig=args.kubeconfig,
            context=args.context or None,
            # Without a fixed identifier, a new address or certificate of the same cluster would replace every object.
            cluster_identifier=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
