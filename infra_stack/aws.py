"""The target `aws`: account, network, cluster, buckets and databases, and the settings that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi

from infra_stack.base import Base
from infra_stack.config import StackConfig
from platform_lib.infra.aws.account import AwsAccount, AwsAccountArgs, Site
from platform_lib.infra.aws.bucket import AwsBucket, AwsBucketArgs
from platform_lib.infra.aws.budget import AwsBudget, AwsBudgetArgs
from platform_lib.infra.aws.cluster import AwsCluster, AwsClusterArgs
from platform_lib.infra.aws.cluster_defaults import (
    LOAD_BALANCER_ANNOTATIONS,
    STORAGE_CLASS,
    ClusterDefaults,
    ClusterDefaultsArgs,
)
from platform_lib.infra.aws.database import AwsDatabase, AwsDatabaseArgs
from platform_lib.infra.aws.database_users import DatabaseUsers, DatabaseUsersArgs
from platform_lib.infra.aws.github import GithubAccess, GithubAccessArgs, ci_group
from platform_lib.infra.aws.network import AwsNetwork, AwsNetworkArgs
from platform_lib.infra.aws.registry import AwsRegistry, AwsRegistryArgs
from platform_lib.infra.aws.workload_identity import WorkloadIdentity, WorkloadIdentityArgs, bucket_statements
from platform_lib.infra.base.naming import DATABASE_NAMESPACE, MLFLOW_NAMESPACE, prefect_host
from platform_lib.infra.base.pod_settings import by_key
from platform_lib.infra.kubernetes.cluster import Cluster, ClusterArgs
from platform_lib.infra.storage.database import DATABASES

ARTIFACTS_PREFIX = "mlflow"
MLFLOW_ACCOUNT = "mlflow"
"""Service account of MLflow's pods."""


@dataclass(frozen=True, kw_only=True)
class AwsBase:
    """What was created, as far as later steps need it."""

    site: Site
    account: AwsAccount
    cluster: AwsCluster
    database: AwsDatabase

    @classmethod
    def make(cls, config: StackConfig) -> Base:
        """Create the account's resources and the objects that a new cluster needs."""
        site = Site(
            account_id=config.aws_account_id,
            region=config.aws_region,
            stack=pulumi.get_stack(),
            size=config.size,
            boundary=config.aws_permissions_boundary,
        )
        account = AwsAccount("aws", AwsAccountArgs(site=site, owner=config.aws_owner))
        on_aws = pulumi.ResourceOptions(providers=[account.provider])
        network_args = AwsNetworkArgs(
            site=site, zones=config.zones, key_arn=account.key_arn, network=config.aws_network
        )
        network = AwsNetwork("network", network_args, on_aws)
        # Nodes need the network until the last of them is gone: routes and NAT go after the cluster.
        on_network = pulumi.ResourceOptions.merge(on_aws, pulumi.ResourceOptions(depends_on=[network]))
        cluster_args = AwsClusterArgs(
            site=site,
            subnet_ids=network.private_subnet_ids,
            key_arn=account.key_arn,
            admin_roles=config.aws_admin_roles,
            api_networks=config.aws_api_networks,
            version=config.aws_kubernetes_version,
        )
        cluster = AwsCluster("eks", cluster_args, on_network)
        database_args = AwsDatabaseArgs(
            site=site,
            vpc_id=network.vpc_id,
            subnet_ids=network.database_subnet_ids,
            client_group_id=cluster.security_group_id,
            key_arn=account.key_arn,
        )
        database = AwsDatabase("rds", database_args, on_aws)
        artifacts = make_buckets(site, account, on_aws)
        identity = WorkloadIdentityArgs(
            site=site,
            cluster_name=cluster.name,
            cluster_arn=cluster.arn,
            namespace=MLFLOW_NAMESPACE,
            service_account=MLFLOW_ACCOUNT,
            statements=bucket_statements(artifacts.arn, ARTIFACTS_PREFIX, account.key_arn),
        )
        WorkloadIdentity("mlflow-identity", identity, on_aws)
        provider = Cluster("cluster", ClusterArgs(kubeconfig=cluster.kubeconfig))
        defaults = ClusterDefaultsArgs(gpus=config.team_gpus)
        ClusterDefaults("defaults", defaults, pulumi.ResourceOptions(provider=provider.provider))
        registry_args = AwsRegistryArgs(site=site, key_arn=account.key_arn, repositories=config.repositories)
        registry = AwsRegistry("registry", registry_args, on_aws)
        if config.github:
            github = GithubAccessArgs(
                site=site,
                cluster_name=cluster.name,
                cluster_arn=cluster.arn,
                jobs=config.github,
                repository_arns=registry.arns,
                provider_arn=config.aws_github_provider,
            )
            GithubAccess("github", github, on_aws)
        if config.aws_monthly_usd:
            budget = AwsBudgetArgs(site=site, monthly_usd=config.aws_monthly_usd, emails=config.aws_budget_emails)
            AwsBudget("budget", budget, on_aws)
        given = LOAD_BALANCER_ANNOTATIONS | by_key("load_balancer_annotations", config.load_balancer_annotations)
        derived = replace(
            config,
            team_ci_groups=(*config.team_ci_groups, *(f"{team}={ci_group(team)}" for team in config.github)),
            load_balancer_annotations=tuple(map("=".join, given.items())),
            storage_class=STORAGE_CLASS,
            artifacts_uri=f"s3://{artifacts.name}/{ARTIFACTS_PREFIX}",
            s3_region=config.aws_region,
        )
        return Base(
            config=derived,
            cluster=provider,
            aws=cls(site=site, account=account, cluster=cluster, database=database),
        )

    def with_databases(
        self, config: StackConfig, spaces: Mapping[str, pulumi.Output[str]], opts: pulumi.ResourceOptions
    ) -> StackConfig:
        """Make the services' users and databases on RDS.

        Args:
            config: The stack's settings.
            spaces: Namespaces of the platform.
            opts: Options with the cluster's provider.
        Returns:
            The settings with the URL of each database.
        """
        own = {team: prefect_host(team) for team in config.teams}
        args = DatabaseUsersArgs(
            site=self.site,
            cluster_name=self.cluster.name,
            cluster_arn=self.cluster.arn,
            namespace=spaces[DATABASE_NAMESPACE],
            address=self.database.address,
            master_secret_arn=self.database.master_secret_arn,
            key_arn=self.account.key_arn,
            users=[*DATABASES, *own.values()],
            placement=config.placement,
        )
        both = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[self.account.provider]))
        urls = DatabaseUsers("database-users", args, both).urls
        return replace(
            config,
            mlflow_database_url=urls["mlflow"],
            prefect_database_url=urls["prefect"],
            team_prefect_database_urls={team: urls[host] for team, host in own.items()},
        )


def make_buckets(site: Site, account: AwsAccount, opts: pulumi.ResourceOptions) -> AwsBucket:
    """Create the platform's buckets and return that of MLflow's artifacts."""
    logs = AwsBucket("access-logs", AwsBucketArgs(site=site, purpose="access-logs", key_arn=account.key_arn), opts)
    made = {
        purpose: AwsBucket(
            purpose,
            AwsBucketArgs(site=site, purpose=purpose, key_arn=account.key_arn, log_bucket=logs.name),
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[logs])),
        )
        for purpose in ("artifacts", "data", "request-logs", "backups")
    }
    return made["artifacts"]
