"""Rules for resources of AWS, as plain functions: nothing public, everything encrypted, no key, no wildcard."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from platform_lib.infra.policy.definitions import Declared, Policy

EVERYONE: Final = ("0.0.0.0/0", "::/0")
REVIEWED_FOR_ALL: Final = frozenset({"ecr:GetAuthorizationToken"})
"""Actions that AWS offers for no narrower resource than `*`."""
TAGS: Final = ("owner", "stack", "cost")
MIN_BACKUP_DAYS: Final = 7
_BUCKET: Final = "aws:s3/bucket:Bucket"
_PARTS: Final = {
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "BucketPublicAccessBlock with four flags",
    "aws:s3/bucketVersioning:BucketVersioning": "BucketVersioning",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "an encryption",
    "aws:s3/bucketPolicy:BucketPolicy": "BucketPolicy that refuses requests without TLS",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "BucketLifecycleConfiguration",
}
_DATA: Final = (_BUCKET, "aws:rds/instance:Instance", "aws:eks/cluster:Cluster", "aws:kms/key:Key", "aws:ec2/vpc:Vpc")
_BLOCK_FLAGS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _provider(resource: Declared) -> Iterator[str]:
    if resource.type.startswith("aws:") and not resource.provider:
        yield "it has no explicit provider and would go to the account of the caller. Pass the component's provider."
    if resource.type == "pulumi:providers:aws":
        text = resource.inputs.get("defaultTags")
        given = _map(_map(json.loads(text) if isinstance(text, str) else text).get("tags"))
        if missing := [tag for tag in TAGS if not given.get(tag)]:
            yield f"defaultTags lacks {', '.join(missing)}. Set them, so that everything has an owner and a cost."
        if not resource.inputs.get("allowedAccountIds"):
            yield "allowedAccountIds is not set, so wrong credentials would create the platform elsewhere. Set it."


def _buckets(resources: Sequence[Declared]) -> Iterator[tuple[Declared, str]]:
    named = {(one.type, one.name): one for one in resources}
    for bucket in (one for one in resources if one.type == _BUCKET):
        for kind, what in _PARTS.items():
            part = named.get((kind, bucket.name))
            if part is None or not _is_closed(part):
                yield bucket, f"it lacks {what}. Add it under the bucket's own name, as AwsBucket does."


def _is_closed(part: Declared) -> bool:
    if part.type.endswith(":BucketPublicAccessBlock"):
        return all(part.inputs.get(flag) is True for flag in _BLOCK_FLAGS)
    if part.type.endswith(":BucketVersioning"):
        return _map(part.inputs.get("versioningConfiguration")).get("status") == "Enabled"
    if part.type.endswith(":BucketPolicy") and isinstance(part.inputs.get("policy"), str):
        return any(
            one.get("Effect") == "Deny" and _map(_map(one.get("Condition")).get("Bool")).get("aws:SecureTransport")
            for one in _statements(part)
        )
    return True


def _database(resource: Declared) -> Iterator[str]:
    if resource.type != "aws:rds/instance:Instance":
        return
    inputs = resource.inputs
    if inputs.get("publiclyAccessible") is not False:
        yield "publiclyAccessible is not false. Set it, so that the database has no public address."
    for key in ("storageEncrypted", "manageMasterUserPassword", "deletionProtection"):
        if inputs.get(key) is not True:
            yield f"{key} is not true. Set it."
    if inputs.get("password") or inputs.get("passwordWo"):
        yield "it has a password of the stack. Set manageMasterUserPassword, so that RDS makes and rotates it."
    if inputs.get("skipFinalSnapshot") is not False or (inputs.get("backupRetentionPeriod") or 0) < MIN_BACKUP_DAYS:
        yield f"it needs a final snapshot and {MIN_BACKUP_DAYS} days of backups. Set both."


def _cluster(resource: Declared) -> Iterator[str]:
    if resource.type != "aws:eks/cluster:Cluster":
        return
    access, vpc = _map(resource.inputs.get("accessConfig")), _map(resource.inputs.get("vpcConfig"))
    if access.get("authenticationMode") != "API" or access.get("bootstrapClusterCreatorAdminPermissions") is not False:
        yield "whoever creates it stays administrator. Use access entries only: API, without creator permissions."
    networks = vpc.get("publicAccessCidrs") or []
    if vpc.get("endpointPublicAccess") is not False and (not networks or set(networks) & set(EVERYONE)):
        yield "its API is open to the internet. Name networks in publicAccessCidrs, or close the public endpoint."
    if not resource.inputs.get("encryptionConfig"):
        yield "Secrets are not encrypted with a key of the account. Set encryptionConfig."
    if not {"api", "audit", "authenticator"} <= set(resource.inputs.get("enabledClusterLogTypes") or []):
        yield "it does not log api, audit and authenticator. Set enabledClusterLogTypes."
    if resource.inputs.get("deletionProtection") is not True:
        yield "deletionProtection is not true. Set it."


def _statements(resource: Declared) -> list[Mapping[str, Any]]:
    texts = [resource.inputs.get(key) for key in ("policy", "assumeRolePolicy")]
    documents = [_map(json.loads(text)) for text in texts if isinstance(text, str) and text.startswith("{")]
    return [one for document in documents for one in _listed(document.get("Statement"))]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def _documents(resource: Declared) -> Iterator[str]:
    if not resource.type.startswith("aws:"):
        return
    arn = str(resource.inputs.get("policyArn") or "")
    if arn.endswith(("FullAccess", "AdministratorAccess", "PowerUserAccess")):
        yield f"it attaches {arn.rpartition('/')[2]}. Write a policy with the required actions only."
    for statement in _statements(resource):
        if statement.get("Effect") != "Allow":
            continue
        actions = [str(action) for action in _listed(statement.get("Action"))]
        if resource.type != "aws:kms/key:Key":  # there, `*` is this key, and the account's IAM decides
            if wild := [action for action in actions if "*" in action] or "NotAction" in statement:
                yield f"a statement allows {wild if isinstance(wild, list) else 'NotAction'}. Name each action."
            if "*" in _listed(statement.get("Resource")) and not set(actions) <= REVIEWED_FOR_ALL:
                yield "a statement allows every resource. Name the ARNs."
        if statement.get("Principal") in ("*", {"AWS": "*"}):
            yield "a statement allows everyone. Name the principal."
        if "sts:AssumeRoleWithWebIdentity" in actions:
            equal = _map(_map(statement.get("Condition")).get("StringEquals"))
            subjects = [text for key, value in equal.items() if key.endswith(":sub") for text in _listed(value)]
            if not subjects or any("*" in str(text) for text in subjects):
                yield "a role trusts more than one exact subject of the issuer. Compare `sub` with StringEquals."


def _keys(resource: Declared) -> Iterator[str]:
    if resource.type in ("aws:iam/accessKey:AccessKey", "aws:iam/user:User"):
        yield "it is a user or an access key, which does not expire. Use a role."


def _doors(resource: Declared) -> Iterator[str]:
    rules: list[Mapping[str, Any]] = []
    if resource.type == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
        rules = [resource.inputs]
    if resource.type in ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"):
        rules = [_map(rule) for rule in resource.inputs.get("ingress") or []]
    if resource.type == "aws:ec2/securityGroupRule:SecurityGroupRule" and resource.inputs.get("type") == "ingress":
        rules = [resource.inputs]
    for rule in rules:
        given = [rule.get("cidrIpv4"), rule.get("cidrIpv6"), *(rule.get("cidrBlocks") or [])]
        if set(EVERYONE) & {*given, *(rule.get("ipv6CidrBlocks") or [])}:
            yield "it lets everyone in. Name a security group or a network; only load balancers are public."
    if resource.type in ("aws:ec2/instance:Instance", "aws:ec2/launchTemplate:LaunchTemplate"):
        options = _map(resource.inputs.get("metadataOptions"))
        if options.get("httpTokens") != "required" or options.get("httpPutResponseHopLimit") != 1:
            yield "pods could read the node's credentials. Set metadataOptions: tokens required, hop limit 1."


def _stores(resource: Declared) -> Iterator[str]:
    inputs = resource.inputs
    if resource.type == "aws:cloudwatch/logGroup:LogGroup" and not (
        inputs.get("retentionInDays") and "kmsKeyId" in inputs
    ):
        yield "its logs are kept for ever or with AWS' own key. Set retentionInDays and kmsKeyId."
    if resource.type == "aws:ecr/repository:Repository" and not (
        inputs.get("imageTagMutability") == "IMMUTABLE"
        and _map(inputs.get("imageScanningConfiguration")).get("scanOnPush") is True
        and inputs.get("encryptionConfigurations")
    ):
        yield "its images can change, are not scanned or not encrypted with a key of the account. Set all three."
    if resource.type == "aws:kms/key:Key" and inputs.get("enableKeyRotation") is not True:
        yield "enableKeyRotation is not true. Set it."
    if resource.type == "aws:ebs/volume:Volume" and inputs.get("encrypted") is not True:
        yield "encrypted is not true. Set it."


def _protected(resource: Declared) -> Iterator[str]:
    if resource.type in _DATA and not resource.protect:
        yield "it holds data or everything else, and one `pulumi destroy` would delete it. Set protect=True."


AWS_POLICIES: tuple[Policy, ...] = (
    Policy(
        name="aws-accounts-are-explicit",
        description="Every resource of AWS names its account, an owner and a cost.",
        check=_provider,
    ),
    Policy(
        name="aws-buckets-are-closed",
        description="Every bucket is private, versioned, encrypted, TLS only and tidied.",
        check_all=_buckets,
    ),
    Policy(
        name="aws-databases-are-closed",
        description="Databases are private, encrypted and backed up, and the stack knows no master password.",
        check=_database,
    ),
    Policy(
        name="aws-clusters-are-closed",
        description="EKS admits named roles from named networks, encrypts Secrets and logs.",
        check=_cluster,
    ),
    Policy(
        name="aws-policies-name-what-they-open",
        description="IAM documents have no wildcard, no open principal and no open trust.",
        check=_documents,
    ),
    Policy(name="aws-has-no-keys", description="Nobody has an access key.", check=_keys),
    Policy(
        name="aws-networks-open-to-named-peers",
        description="No group lets everyone in, and no pod reads a node's credentials.",
        check=_doors,
    ),
    Policy(
        name="aws-stores-are-encrypted",
        description="Logs, images and volumes are encrypted; logs expire; images never change.",
        check=_stores,
    ),
    Policy(name="aws-data-is-protected", description="Data, cluster, key and network are protected.", check=_protected),
)
