"""Resources of AWS that break a rule, each in one respect."""

import json
from typing import Any

from platform_lib.infra.policy.definitions import Declared


def aws(kind: str, *, protect: bool = True, provider: str = "aws", name: str = "it", **inputs: Any) -> Declared:
    return Declared(type=kind, name=name, urn=f"urn::{kind}::{name}", inputs=inputs, protect=protect, provider=provider)


def role_policy(**statement: Any) -> Declared:
    made = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/p/*"], **statement}
    return aws("aws:iam/rolePolicy:RolePolicy", policy=json.dumps({"Statement": [made]}))


def trust(**condition: Any) -> Declared:
    made = {
        "Effect": "Allow",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/x"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    return aws("aws:iam/role:Role", assumeRolePolicy=json.dumps({"Statement": [made]}))


DATABASE: dict[str, Any] = {
    "publiclyAccessible": False,
    "storageEncrypted": True,
    "manageMasterUserPassword": True,
    "deletionProtection": True,
    "skipFinalSnapshot": False,
    "backupRetentionPeriod": 7,
}
CLUSTER: dict[str, Any] = {
    "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
    "vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]},
    "encryptionConfig": {"resources": ["secrets"]},
    "enabledClusterLogTypes": ["api", "audit", "authenticator"],
    "deletionProtection": True,
}
REPOSITORY: dict[str, Any] = {
    "imageTagMutability": "IMMUTABLE",
    "imageScanningConfiguration": {"scanOnPush": True},
    "encryptionConfigurations": [{"encryptionType": "KMS"}],
}
TAGS = {"tags": {"owner": "a", "stack": "b", "cost": "c"}}
DENY = {"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
BUCKET: dict[str, dict[str, Any]] = {
    "Bucket": {},
    "BucketPublicAccessBlock": dict.fromkeys(
        ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
    ),
    "BucketVersioning": {"versioningConfiguration": {"status": "Enabled"}},
    "BucketServerSideEncryptionConfiguration": {},
    "BucketPolicy": {"policy": json.dumps({"Statement": [DENY]})},
    "BucketLifecycleConfiguration": {},
}


def bucket(without: str = "", **changes: Any) -> list[Declared]:
    """A bucket with its parts, without one of them or with other inputs of one."""
    parts = {kind: changes.get(kind, inputs) for kind, inputs in BUCKET.items() if kind != without}
    return [aws(f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}", **inputs) for kind, inputs in parts.items()]


RDS, EKS, ECR = "aws:rds/instance:Instance", "aws:eks/cluster:Cluster", "aws:ecr/repository:Repository"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
GOOD: list[Declared] = [
    aws("pulumi:providers:aws", defaultTags=json.dumps(TAGS), allowedAccountIds='["111122223333"]'),
    *bucket(),
    aws(RDS, **DATABASE),
    aws(EKS, **CLUSTER),
    aws(ECR, **REPOSITORY),
    role_policy(),
    role_policy(Action=["ecr:GetAuthorizationToken"], Resource=["*"]),
    trust(StringEquals={"x:sub": "repo:a/b:environment:c"}),
    aws(INGRESS, cidrIpv4="10.0.0.0/8"),
    aws("aws:cloudwatch/logGroup:LogGroup", retentionInDays=30, kmsKeyId="k"),
    aws("aws:kms/key:Key", enableKeyRotation=True),
]
AWS_VIOLATIONS: list[tuple[str, list[Declared]]] = [
    ("aws-accounts-are-explicit", [aws("aws:ec2/eip:Eip", provider="")]),
    ("aws-accounts-are-explicit", [aws("pulumi:providers:aws", defaultTags="{}", allowedAccountIds='["1"]')]),
    ("aws-accounts-are-explicit", [aws("pulumi:providers:aws", defaultTags=json.dumps(TAGS))]),
    *(("aws-buckets-are-closed", bucket(kind)) for kind in BUCKET if kind != "Bucket"),
    (
        "aws-buckets-are-closed",
        bucket(BucketPublicAccessBlock={**BUCKET["BucketPublicAccessBlock"], "blockPublicAcls": False}),
    ),
    ("aws-buckets-are-closed", bucket(BucketVersioning={"versioningConfiguration": {"status": "Suspended"}})),
    ("aws-buckets-are-closed", bucket(BucketPolicy={"policy": json.dumps({"Statement": []})})),
    *(
        ("aws-databases-are-closed", [aws(RDS, **{**DATABASE, key: value})])
        for key, value in {
            "publiclyAccessible": True,
            "storageEncrypted": False,
            "manageMasterUserPassword": None,
            "password": "hunter2",
            "deletionProtection": False,
            "skipFinalSnapshot": True,
            "backupRetentionPeriod": 1,
        }.items()
    ),
    *(
        ("aws-clusters-are-closed", [aws(EKS, **{**CLUSTER, key: value})])
        for key, value in [
            ("accessConfig", {"authenticationMode": "CONFIG_MAP"}),
            ("accessConfig", {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True}),
            ("vpcConfig", {"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}),
            ("vpcConfig", {"endpointPublicAccess": True}),
            ("encryptionConfig", None),
            ("enabledClusterLogTypes", ["api"]),
            ("deletionProtection", False),
        ]
    ),
    *(
        ("aws-policies-name-what-they-open", [one])
        for one in (
            role_policy(Action=["s3:*"]),
            role_policy(Action="*"),
            role_policy(Resource="*"),
            role_policy(Resource=["*"], Action=["ecr:GetAuthorizationToken", "s3:GetObject"]),
            role_policy(NotAction=["iam:CreateUser"], Action=None),
            role_policy(Principal="*"),
            trust(StringLike={"x:sub": "repo:a/*"}),
            trust(StringEquals={"x:sub": "repo:a/*"}),
            aws(
                "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
                policyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess",
            ),
        )
    ),
    ("aws-has-no-keys", [aws("aws:iam/accessKey:AccessKey")]),
    ("aws-has-no-keys", [aws("aws:iam/user:User")]),
    ("aws-networks-open-to-named-peers", [aws(INGRESS, cidrIpv4="0.0.0.0/0")]),
    ("aws-networks-open-to-named-peers", [aws(INGRESS, cidrIpv6="::/0")]),
    (
        "aws-networks-open-to-named-peers",
        [aws("aws:ec2/securityGroup:SecurityGroup", ingress=[{"cidrBlocks": ["0.0.0.0/0"]}])],
    ),
    (
        "aws-networks-open-to-named-peers",
        [aws("aws:ec2/securityGroupRule:SecurityGroupRule", type="ingress", cidrBlocks=["0.0.0.0/0"])],
    ),
    ("aws-networks-open-to-named-peers", [aws("aws:ec2/instance:Instance")]),
    (
        "aws-networks-open-to-named-peers",
        [
            aws(
                "aws:ec2/launchTemplate:LaunchTemplate",
                metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2},
            )
        ],
    ),
    ("aws-stores-are-encrypted", [aws("aws:cloudwatch/logGroup:LogGroup", kmsKeyId="k")]),
    ("aws-stores-are-encrypted", [aws("aws:cloudwatch/logGroup:LogGroup", retentionInDays=30)]),
    ("aws-stores-are-encrypted", [aws(ECR, **{**REPOSITORY, "imageTagMutability": "MUTABLE"})]),
    ("aws-stores-are-encrypted", [aws(ECR, **{**REPOSITORY, "imageScanningConfiguration": None})]),
    ("aws-stores-are-encrypted", [aws(ECR, **{**REPOSITORY, "encryptionConfigurations": None})]),
    ("aws-stores-are-encrypted", [aws("aws:kms/key:Key")]),
    ("aws-stores-are-encrypted", [aws("aws:ebs/volume:Volume")]),
    ("aws-data-is-protected", [aws(RDS, protect=False, **DATABASE)]),
    ("aws-data-is-protected", [aws(EKS, protect=False, **CLUSTER)]),
]
