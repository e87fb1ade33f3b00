"""An IAM role for the pods of one service account, through EKS Pod Identity. No key exists anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.documents import allow, document, trust_pod
from platform_lib.infra.aws.names import ROLE_LIMIT, aws_name


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs:
    """Who gets the role, and what it allows."""

    site: Site
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    namespace: str
    service_account: str
    statements: Sequence[Mapping[str, Any]]
    """What its pods may do, as `allow` builds them."""

    def __post_init__(self) -> None:
        if not self.statements:
            raise ValueError(
                f"the identity of {self.namespace}/{self.service_account} allows nothing: give at least one statement."
            )


class WorkloadIdentity(pulumi.ComponentResource):
    """A role of one service account in one cluster."""

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:WorkloadIdentity", name, None, opts)
        site = args.site
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=aws_name(site.stack, name, limit=ROLE_LIMIT),
            assume_role_policy=trust_pod(args.cluster_arn, args.namespace, args.service_account),
            opts=child,
            **site.role_options,
        )
        policy = aws.iam.RolePolicy(name, role=role.name, policy=document(*args.statements), opts=child)
        aws.eks.PodIdentityAssociation(
            name,
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            service_account=args.service_account,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})


def bucket_statements(bucket_arn: Any, prefix: str, key_arn: Any) -> list[dict[str, Any]]:
    """Allow reading, writing and deleting objects below one prefix of an encrypted bucket.

    Args:
        bucket_arn: ARN of the bucket, an Output.
        prefix: Without slashes at its ends.
        key_arn: Key that encrypts the bucket.
    """
    objects = pulumi.Output.concat(bucket_arn, "/", prefix, "/*")
    return [
        allow(["s3:ListBucket"], [bucket_arn], StringLike={"s3:prefix": [prefix, f"{prefix}/*"]}),
        allow(["s3:GetBucketLocation"], [bucket_arn]),
        allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], [objects]),
        allow(["kms:GenerateDataKey", "kms:Decrypt"], [key_arn]),
    ]
