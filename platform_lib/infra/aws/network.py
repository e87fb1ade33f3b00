"""The stack's own VPC: private nodes in three zones, a subnet for databases, NAT, endpoints and flow logs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.documents import allow, document, trust_service
from platform_lib.infra.aws.names import ROLE_LIMIT, VPC_NETWORK, aws_name, check_zones, subnets

INTERFACES = ("ecr.api", "ecr.dkr", "sts", "logs")
"""Services that get addresses inside the VPC, so that their traffic does not pay for NAT."""
_LOAD_BALANCER_TAGS: Mapping[str, dict[str, str]] = {
    "public": {"kubernetes.io/role/elb": "1"},
    "private": {"kubernetes.io/role/internal-elb": "1"},
    "database": {},
}


@dataclass(frozen=True, kw_only=True)
class AwsNetworkArgs:
    """Addresses and zones of the VPC."""

    site: Site
    zones: tuple[str, ...]
    key_arn: pulumi.Input[str]
    """Encrypts the flow logs."""
    network: str = "10.60.0.0/16"

    def __post_init__(self) -> None:
        VPC_NETWORK.check("aws_network", self.network)
        check_zones(self.zones, self.site.region)


class AwsNetwork(pulumi.ComponentResource):
    """A VPC without any open group. Nodes have no public address; only load balancers are in the public subnets."""

    vpc_id: pulumi.Output[str]
    private_subnet_ids: list[pulumi.Output[str]]
    public_subnet_ids: list[pulumi.Output[str]]
    database_subnet_ids: list[pulumi.Output[str]]

    def __init__(self, name: str, args: AwsNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:AwsNetwork", name, None, opts)
        self._prefix, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=args.network,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags(name),
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.vpc_id = vpc.id
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=vpc.id, ingress=[], egress=[], opts=self._child)
        made = {kind: self._subnets(kind) for kind in _LOAD_BALANCER_TAGS}
        self.private_subnet_ids, self.public_subnet_ids, self.database_subnet_ids = (
            [subnet.id for subnet in made[kind]] for kind in ("private", "public", "database")
        )
        tables = self._routes(made["public"], made["private"])
        self._endpoints(tables)
        self._flow_logs()
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "private_subnet_ids": self.private_subnet_ids,
                "public_subnet_ids": self.public_subnet_ids,
                "database_subnet_ids": self.database_subnet_ids,
            }
        )

    def _tags(self, name: str) -> dict[str, str]:
        return {"Name": aws_name(self._args.site.stack, name)}

    def _subnets(self, kind: str) -> list[Any]:
        networks = subnets(self._args.network, len(self._args.zones))[kind]
        return [
            aws.ec2.Subnet(
                f"{self._prefix}-{kind}-{zone[-1]}",
                vpc_id=self.vpc_id,
                cidr_block=network,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags={**self._tags(f"{kind}-{zone[-1]}"), **_LOAD_BALANCER_TAGS[kind]},
                opts=self._child,
            )
            for zone, network in zip(self._args.zones, networks, strict=True)
        ]

    def _table(self, role: str, *placed: Any) -> Any:
        table = aws.ec2.RouteTable(
            f"{self._prefix}-{role}", vpc_id=self.vpc_id, tags=self._tags(role), opts=self._child
        )
        for index, subnet in enumerate(placed):
            aws.ec2.RouteTableAssociation(
                f"{self._prefix}-{role}-{index}", route_table_id=table.id, subnet_id=subnet.id, opts=self._child
            )
        return table

    def _routes(self, public: list[Any], private: list[Any]) -> list[Any]:
        """Route public subnets to the internet, and private ones through NAT; database subnets get no route out."""
        name = self._prefix
        gateway = aws.ec2.InternetGateway(name, vpc_id=self.vpc_id, tags=self._tags("internet"), opts=self._child)
        outside = self._table("public", *public)
        aws.ec2.Route(
            f"{name}-public",
            route_table_id=outside.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )
        gateways = [
            self._nat(zone, subnet, gateway)
            for zone, subnet in list(zip(self._args.zones, public, strict=True))[: self._args.site.numbers.nat_gateways]
        ]
        tables = []
        for index, (zone, subnet) in enumerate(zip(self._args.zones, private, strict=True)):
            table = self._table(f"private-{zone[-1]}", subnet)
            aws.ec2.Route(
                f"{name}-private-{zone[-1]}",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateways[index % len(gateways)].id,
                opts=self._child,
            )
            tables.append(table)
        return tables

    def _nat(self, zone: str, subnet: Any, gateway: Any) -> Any:
        role = f"{self._prefix}-nat-{zone[-1]}"
        address = aws.ec2.Eip(role, domain="vpc", tags=self._tags(f"nat-{zone[-1]}"), opts=self._child)
        return aws.ec2.NatGateway(
            role,
            allocation_id=address.allocation_id,
            subnet_id=subnet.id,
            tags=self._tags(f"nat-{zone[-1]}"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )

    def _endpoints(self, tables: list[Any]) -> None:
        """Keep S3's traffic off NAT, which is free; other services get addresses in the VPC in the larger sizes."""
        site, name = self._args.site, self._prefix
        service = f"com.amazonaws.{site.region}"
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=self.vpc_id,
            service_name=f"{service}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        if not site.numbers.has_interface_endpoints:
            return
        group = aws.ec2.SecurityGroup(
            f"{name}-endpoints",
            description="HTTPS from the VPC to the addresses of AWS services",
            vpc_id=self.vpc_id,
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-endpoints",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=self._args.network,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=self._child,
        )
        for one in INTERFACES:
            aws.ec2.VpcEndpoint(
                f"{name}-{one.replace('.', '-')}",
                vpc_id=self.vpc_id,
                service_name=f"{service}.{one}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.private_subnet_ids,
                security_group_ids=[group.id],
                tags=self._tags(one),
                opts=self._child,
            )

    def _flow_logs(self) -> None:
        site, name = self._args.site, self._prefix
        logs = aws.cloudwatch.LogGroup(
            f"{name}-flows",
            name=f"/{aws_name(site.stack)}/flows",
            kms_key_id=self._args.key_arn,
            retention_in_days=site.numbers.log_days,
            opts=self._child,
        )
        role = aws.iam.Role(
            f"{name}-flows",
            name=aws_name(site.stack, "flows", limit=ROLE_LIMIT),
            assume_role_policy=trust_service("vpc-flow-logs.amazonaws.com", site.account_id),
            opts=self._child,
            **site.role_options,
        )
        aws.iam.RolePolicy(
            f"{name}-flows",
            role=role.name,
            policy=document(
                allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    [logs.arn, logs.arn.apply(lambda arn: f"{arn}:*")],
                ),
            ),
            opts=self._child,
        )
        aws.ec2.FlowLog(
            f"{name}-flows",
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=role.arn,
            tags=self._tags("flows"),
            opts=self._child,
        )
