"""The AWS account and region of a stack, and the key that encrypts its data."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.documents import key_policy
from platform_lib.infra.aws.names import ACCOUNT_ID, POLICY_ARN, REGION, TAG, aws_name
from platform_lib.infra.aws.sizing import AWS_SIZES, AwsSize
from platform_lib.infra.base.naming import PLATFORM
from platform_lib.infra.base.sizing import SIZE, Size


@dataclass(frozen=True, kw_only=True)
class Site:
    """What every component on AWS needs to know: where it is, what it is called and how large it is."""

    account_id: str
    region: str
    stack: str
    """Part of every name."""
    size: Size = "small"
    boundary: str = ""
    """ARN of the policy that limits every role of the stack; empty for none."""

    def __post_init__(self) -> None:
        ACCOUNT_ID.check("aws_account_id", self.account_id)
        REGION.check("aws_region", self.region)
        SIZE.check("size", self.size)
        if self.boundary:
            POLICY_ARN.check("aws_permissions_boundary", self.boundary)

    @property
    def numbers(self) -> AwsSize:
        """Numbers of the installation's size."""
        return AWS_SIZES[self.size]

    @property
    def role_options(self) -> dict[str, Any]:
        """Arguments of every IAM role: its path, and the boundary if there is one."""
        path = f"/{aws_name(self.stack)}/"
        return {"path": path, **({"permissions_boundary": self.boundary} if self.boundary else {})}


@dataclass(frozen=True, kw_only=True)
class AwsAccountArgs:
    """The account, and the tags of everything in it."""

    site: Site
    owner: str
    """Value of the tag `owner` of every resource."""

    def __post_init__(self) -> None:
        TAG.check("aws_owner", self.owner)


class AwsAccount(pulumi.ComponentResource):
    """The provider, which refuses any other account and tags every resource, and the KMS key."""

    provider: Any
    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AwsAccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:AwsAccount", name, None, opts)
        site = args.site
        tags = {"owner": args.owner, "stack": site.stack, "cost": aws_name(site.stack), "platform": PLATFORM}
        self.provider = aws.Provider(
            name,
            region=site.region,
            allowed_account_ids=[site.account_id],
            default_tags={"tags": tags},
            opts=pulumi.ResourceOptions(parent=self),
        )
        child = pulumi.ResourceOptions(parent=self, provider=self.provider)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"Data of the stack {site.stack}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=key_policy(site.account_id, site.region, aws_name(site.stack)),
            # Without the key, every backup is lost too.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=True)),
        )
        self.key_arn = key.arn
        aws.kms.Alias(f"{name}-key", name=f"alias/{aws_name(site.stack)}", target_key_id=key.key_id, opts=child)
        self.register_outputs({"key_arn": self.key_arn})
