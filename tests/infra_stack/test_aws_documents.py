"""cfn-lint knows AWS' own schemas: every IAM document, and what RDS, EKS and others accept as values."""

import json
from typing import Any

import pytest

from tests.infra.harness.graph import Graph, Resource
from tests.infra.stacks import AWS_OPTIONS, run_stack

REGION = "eu-central-1"  # of the example stack
pytestmark = pytest.mark.slow  # cfn-lint takes seconds to load

# type → (type in CloudFormation, input → property); values that refer to other resources are left out.
SCHEMAS: dict[str, tuple[str, dict[str, str]]] = {
    "aws:rds/instance:Instance": (
        "AWS::RDS::DBInstance",
        {
            "instanceClass": "DBInstanceClass",
            "engine": "Engine",
            "storageType": "StorageType",
            "storageEncrypted": "StorageEncrypted",
            "backupRetentionPeriod": "BackupRetentionPeriod",
            "identifier": "DBInstanceIdentifier",
            "caCertIdentifier": "CACertificateIdentifier",
            "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
            "username": "MasterUsername",
            "manageMasterUserPassword": "ManageMasterUserPassword",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "backupWindow": "PreferredBackupWindow",
        },
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        "AWS::Logs::LogGroup",
        {"name": "LogGroupName", "retentionInDays": "RetentionInDays"},
    ),
    "aws:s3/bucket:Bucket": ("AWS::S3::Bucket", {"bucket": "BucketName"}),
    "aws:ecr/repository:Repository": (
        "AWS::ECR::Repository",
        {"name": "RepositoryName", "imageTagMutability": "ImageTagMutability"},
    ),
    "aws:kms/key:Key": (
        "AWS::KMS::Key",
        {"enableKeyRotation": "EnableKeyRotation", "deletionWindowInDays": "PendingWindowInDays"},
    ),
}
DOCUMENTS = {
    "aws:iam/role:Role": ("assumeRolePolicy", "AWS::IAM::Role", "AssumeRolePolicyDocument"),
    "aws:iam/rolePolicy:RolePolicy": ("policy", "AWS::IAM::ManagedPolicy", "PolicyDocument"),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy", "AWS::S3::BucketPolicy", "PolicyDocument"),
}


def template(graph: Graph) -> dict[str, Any]:
    """The graph's documents and known values as a CloudFormation template."""
    made: dict[str, Any] = {}
    for resource in graph.resources:
        found = _document(resource) or _values(resource)
        if found:
            made[f"R{len(made)}"] = {**found, "Metadata": {"urn": resource.urn}}
    return {"Resources": made}


def _document(resource: Resource) -> dict[str, Any] | None:
    if resource.type not in DOCUMENTS:
        return None
    key, kind, target = DOCUMENTS[resource.type]
    bucket = {"Bucket": resource.name} if kind == "AWS::S3::BucketPolicy" else {}
    return {"Type": kind, "Properties": {target: with_arns(json.loads(resource.inputs[key])), **bucket}}


def _values(resource: Resource) -> dict[str, Any] | None:
    if resource.type not in SCHEMAS:
        return None
    kind, names = SCHEMAS[resource.type]
    return {
        "Type": kind,
        "Properties": {to: resource.inputs[key] for key, to in names.items() if key in resource.inputs},
    }


def with_arns(value: Any) -> Any:
    """The harness makes `NAME-arn` of an ARN that only AWS knows."""
    if isinstance(value, dict):
        return {key: with_arns(one) for key, one in value.items()}
    if isinstance(value, list):
        return [with_arns(one) for one in value]
    made = str(value)
    return f"arn:aws:s3:::{made.replace('-arn', '', 1)}" if "-arn" in made and not made.startswith("arn:") else value


def findings(found: dict[str, Any]) -> list[str]:
    from cfnlint import lint  # type: ignore[import-untyped]

    urns = {name: one["Metadata"]["urn"] for name, one in found["Resources"].items()}
    return [
        f"{urns[str(one.path[1])] if len(one.path) > 1 else ''}: {one.rule.id} {one.message}"
        for one in lint(json.dumps(found), regions=[REGION])
        if one.rule.id[0] in "EW"  # not advice on how to write templates
    ]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return run_stack("aws", size="large", **AWS_OPTIONS)


def test_aws_schemas_accept_every_document_and_value(graph: Graph) -> None:
    found = template(graph)
    kinds = {one["Type"] for one in found["Resources"].values()}
    assert len(kinds) == len(SCHEMAS) + len(DOCUMENTS)
    assert findings(found) == []


def test_a_misspelt_action_and_an_unknown_instance_class_are_found() -> None:
    statement = {"Effect": "Allow", "Action": ["s3:GetObjekt"], "Resource": ["arn:aws:s3:::b/*"]}
    bad = {
        "R0": ("AWS::IAM::ManagedPolicy", {"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}),
        "R1": ("AWS::RDS::DBInstance", {"Engine": "postgres", "DBInstanceClass": "db.m7g.huge"}),
        "R2": ("AWS::Logs::LogGroup", {"RetentionInDays": 31}),
    }
    made = {name: {"Type": kind, "Properties": props, "Metadata": {"urn": name}} for name, (kind, props) in bad.items()}
    said = findings({"Resources": made})
    assert {text.partition(":")[0] for text in said} == {"R0", "R1", "R2"}
