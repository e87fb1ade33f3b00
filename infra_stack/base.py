"""What the platform runs on: a cluster that exists, or one that the stack creates on AWS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra_stack.config import StackConfig
from platform_lib.infra.kubernetes.cluster import Cluster, ClusterArgs

if TYPE_CHECKING:
    from infra_stack.aws import AwsBase


@dataclass(frozen=True, kw_only=True)
class Base:
    """The cluster, and the settings that follow from what was created for it."""

    config: StackConfig
    cluster: Cluster
    aws: "AwsBase | None" = None

    def with_databases(
        self, config: StackConfig, spaces: Mapping[str, pulumi.Output[str]], opts: pulumi.ResourceOptions
    ) -> StackConfig:
        """The settings with the URLs of databases that were created for the services; elsewhere as they are."""
        return self.aws.with_databases(config, spaces, opts) if self.aws else config


def make_base(config: StackConfig) -> Base:
    """Create what the target needs below the platform."""
    if not config.is_aws:
        args = ClusterArgs(kubeconfig=config.kubeconfig or None, context=config.context)
        return Base(config=config, cluster=Cluster("cluster", args))
    from infra_stack.aws import AwsBase  # pulumi-aws is installed for this target only

    return AwsBase.make(config)
