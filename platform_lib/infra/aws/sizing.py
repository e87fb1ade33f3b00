"""What each size of an installation gets on AWS. Creates no resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from platform_lib.infra.base.sizing import Size


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsSize:
    """Numbers of one size."""

    nat_gateways: int
    """1, or one for each of the three zones, so that a zone's failure takes no other zone offline."""
    has_interface_endpoints: bool
    """Whether ECR, STS and CloudWatch Logs have addresses inside the VPC; each costs money by the hour."""
    database_class: str
    database_gib: int
    database_limit_gib: int
    """RDS grows the storage up to here by itself."""
    database_standby: bool
    """Whether a second instance in another zone takes over."""
    backup_days: int
    log_days: int


AWS_SIZES: Final[Mapping[Size, AwsSize]] = {
    "small": AwsSize(
        nat_gateways=1,
        has_interface_endpoints=False,
        database_class="db.t4g.medium",
        database_gib=20,
        database_limit_gib=100,
        database_standby=False,
        backup_days=7,
        log_days=30,
    ),
    "standard": AwsSize(
        nat_gateways=3,
        has_interface_endpoints=True,
        database_class="db.m7g.large",
        database_gib=100,
        database_limit_gib=500,
        database_standby=True,
        backup_days=14,
        log_days=90,
    ),
    "large": AwsSize(
        nat_gateways=3,
        has_interface_endpoints=True,
        database_class="db.m7g.2xlarge",
        database_gib=500,
        database_limit_gib=2000,
        database_standby=True,
        backup_days=35,
        log_days=365,
    ),
}
