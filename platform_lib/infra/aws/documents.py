"""IAM documents as plain data: who may assume a role, and what a role may do. Creates no resource."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

GITHUB_ISSUER: Final = "token.actions.githubusercontent.com"
POD_IDENTITY_SERVICE: Final = "pods.eks.amazonaws.com"


def document(*statements: Mapping[str, Any]) -> pulumi.Output[str]:
    """Return a policy document as JSON; its values may be Outputs."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Sequence[str], resources: Sequence[Any], **conditions: Any) -> dict[str, Any]:
    """Return a statement that allows actions on resources.

    Args:
        actions: Such as `s3:GetObject`.
        resources: ARNs; may be Outputs.
        **conditions: Operator → key → value, such as `StringEquals={"aws:SourceAccount": "111122223333"}`.
    """
    made: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return made | ({"Condition": conditions} if conditions else {})


def trust_service(service: str, account_id: str, *, tags_sessions: bool = False) -> pulumi.Output[str]:
    """Return the trust policy of a role that an AWS service assumes for resources of this account only.

    Args:
        service: Such as `eks.amazonaws.com`.
        account_id: 12 digits.
        tags_sessions: Whether the service sets session tags, as EKS does.
    """
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": ["sts:AssumeRole", *(["sts:TagSession"] if tags_sessions else [])],
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        }
    )


def trust_nodes() -> pulumi.Output[str]:
    """Return the trust policy of the nodes' role. EC2 sends no source account."""
    return document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": ["sts:AssumeRole"]})


def trust_pod(cluster_arn: Any, namespace: str, service_account: str) -> pulumi.Output[str]:
    """Return the trust policy of a role for one service account's pods, by the tags that EKS Pod Identity sends."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": POD_IDENTITY_SERVICE},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-arn": cluster_arn,
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            },
        }
    )


def trust_github(provider_arn: Any, subject: str) -> pulumi.Output[str]:
    """Return the trust policy for jobs of one repository in one environment.

    Args:
        provider_arn: ARN of the account's OIDC provider for GitHub.
        subject: `repo:OWNER/REPOSITORY:environment:ENVIRONMENT`, compared exactly.
    """
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{GITHUB_ISSUER}:aud": "sts.amazonaws.com", f"{GITHUB_ISSUER}:sub": subject}
            },
        }
    )


def tls_only(bucket_arn: pulumi.Output[str], *more: Mapping[str, Any]) -> pulumi.Output[str]:
    """Return a bucket policy that refuses requests without TLS 1.2.

    Args:
        bucket_arn: ARN of the bucket.
        *more: Further statements.
    """
    both = [bucket_arn, bucket_arn.apply(lambda arn: f"{arn}/*")]
    refuse: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": both}
    return document(
        {**refuse, "Sid": "RefuseHttp", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {**refuse, "Sid": "RefuseOldTls", "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
        *more,
    )


def key_policy(account_id: str, region: str, stack_prefix: str) -> pulumi.Output[str]:
    """Return the policy of the stack's KMS key: IAM of the account decides, and CloudWatch encrypts the stack's logs.

    Args:
        account_id: 12 digits.
        region: Region of the logs.
        stack_prefix: How the names of the stack's log groups start, such as `/mlp/prod`.
    """
    groups = f"arn:aws:logs:{region}:{account_id}:log-group:*{stack_prefix}*"
    return document(
        {
            "Sid": "AccountDecides",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "LogsEncrypt",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": [
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
                "kms:GenerateDataKey",
                "kms:DescribeKey",
            ],
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        },
    )
