"""RDS Postgres for MLflow and Prefect: encrypted, private, TLS only, with backups and a managed master password."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.names import aws_name

PORT: Final = 5432
MAJOR_VERSION: Final = "17"
MASTER: Final = "platform_master"
"""Only the job that creates the services' own users logs in with it."""
LOGS: Final = ("postgresql", "upgrade")


@dataclass(frozen=True, kw_only=True)
class AwsDatabaseArgs:
    """Where the database runs, and who may connect."""

    site: Site
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """Subnets without a route to the internet."""
    client_group_id: pulumi.Input[str]
    """Security group of the pods. Nothing else can connect."""
    key_arn: pulumi.Input[str]
    """Encrypts storage, backups, logs and the master password."""


class AwsDatabase(pulumi.ComponentResource):
    """One Postgres instance. Deleting it takes three steps, and leaves a snapshot."""

    address: pulumi.Output[str]
    """Host name."""
    master_secret_arn: pulumi.Output[str]
    """Secret in Secrets Manager with the keys `username` and `password`, which RDS rotates."""

    def __init__(self, name: str, args: AwsDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:AwsDatabase", name, None, opts)
        site, numbers = args.site, args.site.numbers
        identifier = aws_name(site.stack)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            name,
            description="Postgres, from the pods of the cluster only",
            vpc_id=args.vpc_id,
            tags={"Name": aws_name(site.stack, "database")},
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            description="Postgres from the pods of the cluster",
            referenced_security_group_id=args.client_group_id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            opts=child,
        )
        subnets = aws.rds.SubnetGroup(name, name=identifier, subnet_ids=list(args.subnet_ids), opts=child)
        parameters = aws.rds.ParameterGroup(
            name,
            family=f"postgres{MAJOR_VERSION}",
            parameters=[
                {"name": "rds.force_ssl", "value": "1", "apply_method": "immediate"},
                {"name": "log_min_duration_statement", "value": "1000", "apply_method": "immediate"},
            ],
            opts=child,
        )
        logs = [
            aws.cloudwatch.LogGroup(
                f"{name}-{kind}",
                name=f"/aws/rds/instance/{identifier}/{kind}",
                kms_key_id=args.key_arn,
                retention_in_days=numbers.log_days,
                opts=child,
            )
            for kind in LOGS
        ]
        # A deleted and re-created database would otherwise fail to write a second snapshot of the same name.
        life = random.RandomId(f"{name}-life", byte_length=4, opts=child)
        instance = aws.rds.Instance(
            name,
            identifier=identifier,
            engine="postgres",
            engine_version=MAJOR_VERSION,
            auto_minor_version_upgrade=True,
            allow_major_version_upgrade=False,
            instance_class=numbers.database_class,
            allocated_storage=numbers.database_gib,
            max_allocated_storage=numbers.database_limit_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            multi_az=numbers.database_standby,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            port=PORT,
            parameter_group_name=parameters.name,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            username=MASTER,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            backup_retention_period=numbers.backup_days,
            backup_window="02:00-03:00",
            maintenance_window="sun:03:30-sun:04:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=True,
            skip_final_snapshot=False,
            final_snapshot_identifier=life.hex.apply(lambda text: f"{identifier}-final-{text}"),
            enabled_cloudwatch_logs_exports=list(LOGS),
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key_arn,
            # RDS grows the storage by itself.
            opts=pulumi.ResourceOptions(
                parent=self, protect=True, depends_on=logs, ignore_changes=["allocatedStorage"]
            ),
        )
        self.address = instance.address
        self.master_secret_arn = instance.master_user_secrets[0]["secret_arn"]
        self.register_outputs({"address": self.address, "master_secret_arn": self.master_secret_arn})
