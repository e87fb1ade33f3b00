"""EKS Auto Mode: control plane with logs and encrypted Secrets, built-in node pools, and who may administer it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.documents import trust_nodes, trust_service
from platform_lib.infra.aws.names import (
    API_NETWORK,
    CLUSTER_LIMIT,
    KUBERNETES_VERSION,
    ROLE_ARN,
    ROLE_LIMIT,
    aws_name,
)
from platform_lib.infra.base.setting_rules import SettingError

LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
NODE_POOLS: Final = ("general-purpose", "system")
"""EKS' own pools: on demand, from zero, on Arm and x86."""
ADMINISTRATOR: Final = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
_CLUSTER_POLICIES: Final = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
_NODE_POLICIES: Final = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


@dataclass(frozen=True, kw_only=True)
class AwsClusterArgs:
    """Where the cluster runs, and who may reach and administer it."""

    site: Site
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private subnets in three zones."""
    key_arn: pulumi.Input[str]
    """Encrypts Secrets in etcd, and the control plane's logs."""
    admin_roles: tuple[str, ...]
    """ARNs of IAM roles that administer the cluster; the role that runs `pulumi up` must be one of them."""
    api_networks: tuple[str, ...] = ()
    """Networks (CIDR) from which the API answers; empty for the VPC only."""
    version: str = "1.34"

    def __post_init__(self) -> None:
        KUBERNETES_VERSION.check("aws_kubernetes_version", self.version)
        if not self.admin_roles:
            raise SettingError(
                "aws_admin_roles is empty: name the IAM role that runs `pulumi up`, and whoever else administers the "
                "cluster. Nobody else can."
            )
        for index, arn in enumerate(self.admin_roles):
            ROLE_ARN.check(f"aws_admin_roles[{index}]", arn)
        for index, network in enumerate(self.api_networks):
            API_NETWORK.check(f"aws_api_networks[{index}]", network)


class AwsCluster(pulumi.ComponentResource):
    """The cluster. `kubeconfig` has no token: it calls `aws eks get-token` with the caller's own role."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    """Group of nodes and pods."""
    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: AwsClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:AwsCluster", name, None, opts)
        site = args.site
        cluster_name = aws_name(site.stack, limit=CLUSTER_LIMIT)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{cluster_name}/cluster",
            kms_key_id=args.key_arn,
            retention_in_days=site.numbers.log_days,
            opts=child,
        )
        trust = trust_service("eks.amazonaws.com", site.account_id, tags_sessions=True)
        control, control_policies = self._role(f"{name}-control", site, trust, _CLUSTER_POLICIES)
        nodes, node_policies = self._role(f"{name}-nodes", site, trust_nodes(), _NODE_POLICIES)
        cluster = aws.eks.Cluster(
            name,
            name=cluster_name,
            role_arn=control.arn,
            version=args.version,
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
            # Auto Mode brings network, DNS, storage and load balancing itself; EKS rejects its own add-ons beside it.
            bootstrap_self_managed_addons=False,
            compute_config={"enabled": True, "node_pools": list(NODE_POOLS), "node_role_arn": nodes.arn},
            kubernetes_network_config={"elastic_load_balancing": {"enabled": True}},
            storage_config={"block_storage": {"enabled": True}},
            vpc_config={
                "subnet_ids": list(args.subnet_ids),
                "endpoint_private_access": True,
                "endpoint_public_access": bool(args.api_networks),
                **({"public_access_cidrs": list(args.api_networks)} if args.api_networks else {}),
            },
            encryption_config={"provider": {"key_arn": args.key_arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(LOG_TYPES),
            upgrade_policy={"support_type": "STANDARD"},
            deletion_protection=True,
            opts=pulumi.ResourceOptions(
                parent=self, protect=True, depends_on=[logs, *control_policies, *node_policies]
            ),
        )
        self.arn, self.name = cluster.arn, cluster.name
        self.security_group_id = cluster.vpc_config["cluster_security_group_id"]
        admitted = [self._administrator(f"{name}-admin-{index}", arn) for index, arn in enumerate(args.admin_roles)]
        # Nothing can be created in the cluster before the role that runs `pulumi up` has been admitted.
        endpoint = pulumi.Output.all(cluster.endpoint, *(one.id for one in admitted)).apply(lambda both: both[0])
        self.kubeconfig = kubeconfig(cluster_name, site.region, endpoint, cluster.certificate_authority["data"])
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "security_group_id": self.security_group_id,
                "kubeconfig": self.kubeconfig,
            }
        )

    def _role(
        self, name: str, site: Site, trust: pulumi.Output[str], policies: Sequence[str]
    ) -> tuple[aws.iam.Role, list[aws.iam.RolePolicyAttachment]]:
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=aws_name(site.stack, name, limit=ROLE_LIMIT),
            assume_role_policy=trust,
            opts=child,
            **site.role_options,
        )
        attached = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{policy}", role=role.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=child
            )
            for policy in policies
        ]
        return role, attached

    def _administrator(self, name: str, arn: str) -> aws.eks.AccessPolicyAssociation:
        child = pulumi.ResourceOptions(parent=self)
        entry = aws.eks.AccessEntry(name, cluster_name=self.name, principal_arn=arn, opts=child)
        return aws.eks.AccessPolicyAssociation(
            name,
            cluster_name=self.name,
            principal_arn=entry.principal_arn,
            policy_arn=ADMINISTRATOR,
            access_scope={"type": "cluster"},
            opts=child,
        )


def kubeconfig(
    name: str, region: str, endpoint: pulumi.Output[str], authority: pulumi.Output[str]
) -> pulumi.Output[str]:
    """Return a kubeconfig without any secret: each call asks `aws` for a token of the caller's role.

    Args:
        name: Name of the cluster.
        region: Region of the cluster.
        endpoint: Address of the API server.
        authority: Certificate of the API server's authority, Base64.
    """
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "aws",
            "args": ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"],
            "interactiveMode": "Never",
        }
    }
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
