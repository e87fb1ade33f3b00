"""Settings of the target `aws`. With it, the stack creates the cluster, the databases and the buckets itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from infra_stack.pairs import pair, pairs
from platform_lib.infra.aws import names
from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.setting_rules import SettingError, one_of

TARGET = one_of("kubernetes", "aws")
NEEDED = ("aws_region", "aws_account_id", "aws_owner", "aws_admin_roles")
"""Without a usable default."""
MADE_HERE = (
    "kubeconfig",
    "context",
    "storage_class",
    "use_existing",
    "mlflow_database_url",
    "prefect_database_url",
    "team_prefect_database_urls",
    "artifacts_uri",
    "request_log_uri",
    "team_request_log_keys",
    "s3_endpoint",
    "s3_region",
    "s3_access_key_id",
    "s3_secret_access_key",
)
"""Settings of a cluster that exists already; the target `aws` fills them itself, or needs none."""


@dataclass(frozen=True, kw_only=True)
class AwsSettings:
    """One field per key of Pulumi.yaml, with the rule for its value."""

    target: Annotated[Literal["kubernetes", "aws"], TARGET]
    aws_region: Annotated[str, names.REGION]
    aws_account_id: Annotated[str, names.ACCOUNT_ID]
    aws_owner: Annotated[str, names.TAG]
    aws_admin_roles: Annotated[tuple[str, ...], names.ROLE_ARN]
    aws_zones: Annotated[tuple[str, ...], names.ZONE]
    aws_network: Annotated[str, names.VPC_NETWORK]
    aws_api_networks: Annotated[tuple[str, ...], names.API_NETWORK]
    aws_kubernetes_version: Annotated[str, names.KUBERNETES_VERSION]
    aws_permissions_boundary: Annotated[str, names.POLICY_ARN]
    aws_github: Annotated[tuple[str, ...], pair(names.GITHUB, "TEAM=OWNER/REPOSITORY:ENVIRONMENT")]
    aws_github_provider: Annotated[str, names.PROVIDER_ARN]
    aws_repositories: Annotated[tuple[str, ...], pair(names.REPOSITORY, "TEAM=MODEL")]
    aws_monthly_usd: Annotated[int, rules.COUNT_OR_NONE]
    aws_budget_emails: Annotated[tuple[str, ...], rules.EMAIL]

    @property
    def is_aws(self) -> bool:
        """Whether the stack creates the cluster, on AWS."""
        return self.target == "aws"

    @property
    def zones(self) -> tuple[str, ...]:
        """The three availability zones."""
        return self.aws_zones or names.default_zones(self.aws_region)

    @property
    def repositories(self) -> dict[str, list[str]]:
        """Team → names of its image repositories."""
        return pairs(self.aws_repositories)

    @property
    def github(self) -> dict[str, list[str]]:
        """Team → `OWNER/REPOSITORY:ENVIRONMENT` whose jobs deploy for it."""
        return pairs(self.aws_github)

    def check_aws_settings(self, teams: tuple[str, ...]) -> None:
        """Check these settings against each other.

        Args:
            teams: Names of the teams.
        Raises:
            SettingError: Two settings contradict each other.
        """
        if self.is_aws:
            names.check_zones(self.zones, self.aws_region)
        if bool(self.aws_monthly_usd) != bool(self.aws_budget_emails):
            raise SettingError(
                "aws_monthly_usd and aws_budget_emails belong together: set the limit and who is told, or neither."
            )
        for key, named in (("aws_github", self.github), ("aws_repositories", self.repositories)):
            if unknown := set(named) - set(teams):
                raise SettingError(
                    f"{key} names {', '.join(sorted(unknown))}: the teams are {', '.join(teams) or 'none'}."
                )
            entries = getattr(self, key)
            if not names.distinct(entries):
                raise SettingError(f"{key} has an entry twice: give each entry once.")


def check_target(values: Mapping[str, Any]) -> None:
    """Check which settings are given for the target.

    Args:
        values: Key → value, as `read_settings` returns them.
    Raises:
        SettingError: A setting belongs to the other target, or one that this target needs is missing.
    """
    if values.get("target", "kubernetes") != "aws":
        if given := [key for key in NEEDED if values.get(key)]:
            raise SettingError(
                f"{given[0]} is set, but target is 'kubernetes': `pulumi config set target aws` creates the platform "
                f"on AWS, and `pulumi config rm {given[0]}` removes the setting."
            )
        return
    for key in NEEDED:
        if not values.get(key):
            typed = f"--path '{key}[0]'" if key == "aws_admin_roles" else key
            raise SettingError(f"target is 'aws', but {key} is not set: `pulumi config set {typed} VALUE` sets it.")
    if given := [key for key in MADE_HERE if values.get(key)]:
        raise SettingError(
            f"{given[0]} is set, but target is 'aws', which creates the cluster, its databases and its buckets: "
            f"remove it with `pulumi config rm {given[0]}`."
        )
