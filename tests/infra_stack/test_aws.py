"""The shared stack on AWS: what its resource graph shows of the security checklist, in three sizes."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from platform_lib.infra.base.sizing import SIZES
from tests.conftest import REPOSITORY
from tests.infra.harness.apply import dependencies
from tests.infra.harness.graph import Graph, Resource
from tests.infra.stacks import AWS_OPTIONS, run_stack


@functools.cache
def of_size(size: str) -> Graph:
    """Every optional part is on in the two larger sizes; the small one opens the API inside the VPC only."""
    return run_stack("aws", size=size, **({"aws_api_networks": []} if size == "small" else AWS_OPTIONS))


@pytest.fixture(params=SIZES)
def graph(request: pytest.FixtureRequest) -> Graph:
    return of_size(request.param)


def of(graph: Graph, kind: str) -> list[Resource]:
    """Resources of AWS by the last part of their type."""
    return [r for r in graph.resources if r.type.startswith("aws:") and r.type.endswith(f":{kind}")]


def above(graph: Graph, resource: Resource) -> set[str]:
    """URNs of everything that has to exist before a resource."""
    whole = {one.urn: one for one in graph.resources}
    found: set[str] = set()
    waiting = [resource.urn]
    while waiting:
        waiting += (new := dependencies(whole[waiting.pop()], whole) - found)
        found |= new
    return found


def statements(graph: Graph) -> Iterator[tuple[Resource, dict[str, Any]]]:
    for resource in graph.resources:
        for key in ("policy", "assumeRolePolicy"):
            if resource.type.startswith("aws:") and isinstance(resource.inputs.get(key), str):
                for statement in json.loads(resource.inputs[key]).get("Statement", []):  # ECR's life cycles have none
                    yield resource, statement


def test_every_resource_of_aws_uses_the_one_provider_of_the_right_account(graph: Graph) -> None:
    assert {r.provider for r in graph.resources if r.custom and r.type.startswith("aws:")} == {"aws"}
    provider = graph.one("pulumi:providers:aws").inputs
    assert json.loads(provider["allowedAccountIds"]) == ["111122223333"]
    assert set(json.loads(provider["defaultTags"])["tags"]) >= {"owner", "stack", "cost"}


def test_nodes_and_databases_are_in_private_subnets_of_three_zones(graph: Graph) -> None:
    subnets = of(graph, "Subnet")
    assert len(subnets) == 9 and len({s.inputs["availabilityZone"] for s in subnets}) == 3
    assert len({s.inputs["cidrBlock"] for s in subnets}) == 9
    assert not any(s.inputs["mapPublicIpOnLaunch"] for s in subnets)
    cluster, group = graph.one("aws:eks/cluster:Cluster"), graph.one("aws:rds/subnetGroup:SubnetGroup")
    assert cluster.inputs["vpcConfig"]["subnetIds"] == [f"network-private-{letter}-id" for letter in "abc"]
    assert group.inputs["subnetIds"] == [f"network-database-{letter}-id" for letter in "abc"]
    routed = {r.inputs["subnetId"] for r in of(graph, "RouteTableAssociation")}
    assert not routed & set(group.inputs["subnetIds"])  # the database has no way out


def test_the_cluster_keeps_the_checklist(graph: Graph) -> None:
    cluster = graph.one("aws:eks/cluster:Cluster")
    inputs = cluster.inputs
    assert inputs["accessConfig"] == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    assert inputs["encryptionConfig"]["resources"] == ["secrets"]
    assert {"api", "audit", "authenticator"} <= set(inputs["enabledClusterLogTypes"])
    assert inputs["deletionProtection"] is True and cluster.opts["protect"]
    auto = (inputs["computeConfig"], inputs["storageConfig"]["blockStorage"])
    assert [part["enabled"] for part in auto] == [True, True]
    assert inputs["kubernetesNetworkConfig"]["elasticLoadBalancing"]["enabled"] is True
    assert inputs["bootstrapSelfManagedAddons"] is False


def test_the_api_is_open_to_the_given_networks_or_inside_the_vpc_only() -> None:
    vpcs = {size: of_size(size).one("aws:eks/cluster:Cluster").inputs["vpcConfig"] for size in ("small", "large")}
    assert [vpc["endpointPrivateAccess"] for vpc in vpcs.values()] == [True, True]
    assert [vpc["endpointPublicAccess"] for vpc in vpcs.values()] == [False, True]
    assert vpcs["large"]["publicAccessCidrs"] == ["203.0.113.0/24"] and "publicAccessCidrs" not in vpcs["small"]


def test_the_database_keeps_the_checklist(graph: Graph) -> None:
    database = graph.one("aws:rds/instance:Instance")
    inputs = database.inputs
    assert inputs["storageEncrypted"] and inputs["deletionProtection"] and database.opts["protect"]
    assert not inputs["publiclyAccessible"] and not inputs["skipFinalSnapshot"]
    assert inputs["manageMasterUserPassword"] and "password" not in inputs
    assert inputs["backupRetentionPeriod"] >= 7
    parameters = graph.one("aws:rds/parameterGroup:ParameterGroup").inputs["parameters"]
    assert {"name": "rds.force_ssl", "value": "1", "applyMethod": "immediate"} in parameters


def test_every_bucket_keeps_the_checklist(graph: Graph) -> None:
    buckets = of(graph, "Bucket")
    assert {b.inputs["bucket"] for b in buckets} == {
        f"mlp-aws-{purpose}-111122223333" for purpose in ("access-logs", "artifacts", "data", "request-logs", "backups")
    }
    for bucket in buckets:
        mine = {r.type.split(":")[-1]: r.inputs for r in graph.resources if r.parent == bucket.parent}
        assert bucket.opts["protect"] and bucket.opts["retain_on_delete"] and bucket.inputs["forceDestroy"] is False
        assert all(r.opts["retain_on_delete"] for r in graph.resources if r.parent == bucket.parent)
        block = mine["BucketPublicAccessBlock"]
        assert all(value for key, value in block.items() if key != "bucket") and len(block) == 5
        assert mine["BucketVersioning"]["versioningConfiguration"] == {"status": "Enabled"}
        assert "aws:SecureTransport" in mine["BucketPolicy"]["policy"]
        assert mine["BucketLifecycleConfiguration"]["rules"][0]["noncurrentVersionExpiration"]
        [rule] = mine["BucketServerSideEncryptionConfiguration"]["rules"]
        is_log_bucket = "access-logs" in bucket.inputs["bucket"]
        algorithm = rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
        assert (algorithm, "BucketLogging" in mine) == (("AES256", False) if is_log_bucket else ("aws:kms", True))


def test_no_statement_allows_everything(graph: Graph) -> None:
    found = list(statements(graph))
    assert len(found) > 20
    wide = [
        (resource.name, statement["Action"])
        for resource, statement in found
        if statement["Effect"] == "Allow" and statement.get("Resource") in ("*", ["*"])
        if resource.type != "aws:kms/key:Key"  # there, it means this key
    ]
    assert {name for name, _ in wide} <= {"github-churn-example-churn-production"}
    actions = [
        action
        for _, s in found
        if s["Effect"] == "Allow"
        for action in (s["Action"] if isinstance(s["Action"], list) else [s["Action"]])
    ]
    assert {action for action in actions if "*" in action} == {"kms:*"}  # of the key's own policy


def test_no_secret_of_aws_is_in_the_state_and_no_key_is_made(graph: Graph) -> None:
    assert of(graph, "AccessKey") == [] and of(graph, "User") == []
    config = json.loads(graph.one("pulumi:providers:kubernetes").inputs["kubeconfig"])
    assert config["users"][0]["user"]["exec"]["args"][:2] == ["eks", "get-token"]
    urls = [r for r in graph.kubernetes("Secret") if "asyncpg_uri" in r.inputs.get("stringData", {})]
    assert len(urls) == 4 and all(r.secret_inputs for r in urls)


def test_services_get_what_was_created(graph: Graph) -> None:
    mlflow = next(r for r in graph.kubernetes("Deployment") if r.name == "mlflow")
    [server] = mlflow.inputs["spec"]["template"]["spec"]["containers"]
    assert "s3://mlp-aws-artifacts-111122223333/mlflow" in server["command"]
    assert {"AWS_ACCESS_KEY_ID"} & {entry["name"] for entry in server["env"]} == set()
    [identity] = [r for r in of(graph, "PodIdentityAssociation") if r.inputs["namespace"] == "mlp-mlflow"]
    account = next(r for r in graph.kubernetes("ServiceAccount") if r.namespace == "mlp-mlflow")
    assert account.inputs["metadata"]["name"] == identity.inputs["serviceAccount"]
    job = next(r for r in graph.kubernetes("Job"))
    assert job.urn in above(graph, mlflow)
    assert graph.kubernetes("Cluster") == []  # no Postgres in the cluster
    assert graph.outputs["cluster_name"] == graph.one("aws:eks/cluster:Cluster").inputs["name"]


def test_destroy_takes_pods_and_load_balancers_before_the_cluster_and_the_cluster_before_the_network(
    graph: Graph,
) -> None:
    cluster = graph.one("aws:eks/cluster:Cluster")
    before = above(graph, cluster)
    assert {r.urn for r in of(graph, "NatGateway") + of(graph, "Route") + of(graph, "RolePolicyAttachment")} <= before
    traefik = next(r for r in graph.of("kubernetes:helm.sh/v3:Release") if r.inputs["name"] == "traefik")
    assert cluster.urn in above(graph, traefik)
    admitted = {r.urn for r in of(graph, "AccessPolicyAssociation")}
    assert admitted and admitted <= above(graph, traefik)


def test_sizes_differ_where_they_should() -> None:
    gateways = {size: len(of(of_size(size), "NatGateway")) for size in SIZES}
    endpoints = {size: len(of(of_size(size), "VpcEndpoint")) for size in SIZES}
    standby = {size: of_size(size).one("aws:rds/instance:Instance").inputs["multiAz"] for size in SIZES}
    assert gateways == {"small": 1, "standard": 3, "large": 3}
    assert endpoints == {"small": 1, "standard": 5, "large": 5}
    assert standby == {"small": False, "standard": True, "large": True}


def test_the_documented_table_of_what_is_billed_is_that_of_the_graph() -> None:
    text = (REPOSITORY / "docs/platform/aws.md").read_text(encoding="utf-8")
    databases = [of_size(size).one("aws:rds/instance:Instance").inputs for size in SIZES]
    interfaces = [
        [r for r in of(of_size(size), "VpcEndpoint") if r.inputs["vpcEndpointType"] == "Interface"] for size in SIZES
    ]
    rows = {
        "NAT gateways, each with a public address": [len(of(of_size(size), "NatGateway")) for size in SIZES],
        "interface endpoints, in three zones each": [len(found) for found in interfaces],
        "RDS instance": [one["instanceClass"] for one in databases],
        "standby in another zone": ["yes" if one["multiAz"] else "no" for one in databases],
        "RDS storage, GiB (grows up to)": [
            f"{one['allocatedStorage']} ({one['maxAllocatedStorage']})" for one in databases
        ],
    }
    for name, cells in rows.items():
        assert f"| {name} | {' | '.join(map(str, cells))} |" in text


def test_jobs_on_github_get_a_role_for_one_repository_and_environment_and_their_teams_images_only() -> None:
    graph = of_size("large")
    [role] = [r for r in of(graph, "Role") if r.name.startswith("github-")]
    [trust] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:example/churn:environment:production",
        }
    }
    assert role.inputs["permissionsBoundary"] == AWS_OPTIONS["aws_permissions_boundary"]
    [policy] = [r for r in of(graph, "RolePolicy") if r.name.startswith("github-")]
    pushed = [s["Resource"] for s in json.loads(policy.inputs["policy"])["Statement"] if "ecr:PutImage" in s["Action"]]
    assert pushed == [["registry-churn-churn-arn"]]
    [entry] = [r for r in of(graph, "AccessEntry") if r.name.startswith("github-")]
    [group] = entry.inputs["kubernetesGroups"]
    bindings = [
        r
        for r in graph.kubernetes("RoleBinding")
        if {"kind": "Group", "name": group}.items() <= r.inputs["subjects"][-1].items()
    ]
    assert {r.namespace for r in bindings} >= {"team-churn"}
    assert [r.namespace for r in bindings if "fraud" in r.namespace] == []


def test_repositories_have_immutable_scanned_and_encrypted_images() -> None:
    repositories = of(of_size("large"), "Repository")
    assert {r.inputs["name"] for r in repositories} == {"mlp-aws/churn/churn", "mlp-aws/fraud/card-limits"}
    for one in repositories:
        assert (
            one.inputs["imageTagMutability"] == "IMMUTABLE" and one.inputs["imageScanningConfiguration"]["scanOnPush"]
        )
        assert one.inputs["encryptionConfigurations"][0]["encryptionType"] == "KMS"


def test_the_budget_warns_before_and_at_the_limit() -> None:
    budget = of_size("large").one("aws:budgets/budget:Budget").inputs
    assert (budget["limitAmount"], budget["timeUnit"]) == ("2000", "MONTHLY")
    assert {(n["notificationType"], n["threshold"]) for n in budget["notifications"]} == {
        ("ACTUAL", 80),
        ("FORECASTED", 100),
    }
