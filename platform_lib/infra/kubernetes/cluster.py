"""The cluster that everything goes to: one that exists, adopted by its kubeconfig. Makes no cluster."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """Which cluster."""

    kubeconfig: pulumi.Input[str] | None = None
    """Path or content; None is what `kubectl` would take ($KUBECONFIG, else ~/.kube/config)."""
    context: str = ""
    """Context in it; empty is its current one. Name it, so that a changed current context cannot send the platform elsewhere."""


class Cluster(pulumi.ComponentResource):
    """An existing Kubernetes cluster. `provider` reaches it; pass it to every component."""

    provider: Any

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Cluster", name, None, opts)
        self.provider = k8s.Provider(
            name,
            kubeconfig=args.kubeconfig,
            context=args.context or None,
            # Without a constant identifier another address or certificate of the same cluster would replace every object in it.
            cluster_identifier=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
