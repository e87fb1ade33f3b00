"""Names of AWS resources within each service's limits, and rules for AWS settings. Creates no resource."""

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from platform_lib.infra.base.naming import DNS_LABEL_LIMIT, short
from platform_lib.infra.base.setting_rules import Rule, SettingError, matching

PREFIX: Final = "mlp"
ROLE_LIMIT: Final = 64
"""Maximum length of an IAM role's name."""
CLUSTER_LIMIT: Final = 100
"""Maximum length of an EKS cluster's name."""
IDENTIFIER_LIMIT: Final = 63
"""Maximum length of the identifier of an RDS instance, its subnet group and parameter group."""
BUDGET_LIMIT: Final = 100
"""Maximum length of a budget's name."""
_ACCOUNT_LENGTH: Final = 12

REGION: Final = matching(
    r"(?!us-gov-|cn-|us-iso|eu-isoe)[a-z]{2}-[a-z]+(-[a-z]+)?-\d",
    "give a region of the commercial partition, such as eu-central-1",
)
ACCOUNT_ID: Final = matching(r"\d{12}", "give the 12 digits of the account, which no other account may receive")
ZONE: Final = matching(r"[a-z]{2}-[a-z]+(-[a-z]+)?-\d[a-z]", "give an availability zone such as eu-central-1a")
ROLE_ARN: Final = matching(
    r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]{1,512}", "give a role such as arn:aws:iam::111122223333:role/platform-deploy"
)
POLICY_ARN: Final = matching(
    r"arn:aws:iam::\d{12}:policy/[\w+=,.@/-]{1,512}",
    "give a policy of your account, such as arn:aws:iam::111122223333:policy/platform-boundary",
)
PROVIDER_ARN: Final = matching(
    r"arn:aws:iam::\d{12}:oidc-provider/token\.actions\.githubusercontent\.com",
    "give arn:aws:iam::ACCOUNT:oidc-provider/token.actions.githubusercontent.com",
)
GITHUB: Final = matching(
    r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}:[A-Za-z0-9._-]{1,100}",
    "give OWNER/REPOSITORY:ENVIRONMENT without a wildcard, such as example/churn:production",
)
REPOSITORY: Final = matching(
    r"[a-z0-9]+([._-][a-z0-9]+)*", "give the name of a model's images: lowercase letters, digits, dots and dashes"
)
KUBERNETES_VERSION: Final = matching(r"1\.(3[3-9]|[4-9]\d)", "give a version that EKS supports, such as 1.34")
TAG: Final = matching(r"[\w .:/=+@-]{1,256}", "give 1-256 letters, digits, spaces or any of . : / = + - @ _")


def _is_caller_network(value: str) -> bool:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        return False
    return network.prefixlen >= 8


API_NETWORK: Final = Rule(
    _is_caller_network,
    "give an IPv4 network from which people and CI reach the Kubernetes API, such as 203.0.113.0/24; the whole "
    "internet is refused",
)


def _is_vpc_network(value: str) -> bool:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        return False
    return network.is_private and 16 <= network.prefixlen <= 20


VPC_NETWORK: Final = Rule(_is_vpc_network, "give a private IPv4 network from /16 to /20, such as 10.60.0.0/16")


def aws_name(*parts: str, limit: int = IDENTIFIER_LIMIT) -> str:
    """Join parts to a name of lowercase letters, digits and single dashes that starts with `mlp-`.

    A hash keeps names distinct that lose characters. A name that needs no change stays readable.

    Args:
        *parts: Such as the stack's name and the role of the resource.
        limit: Maximum length that the service allows.
    """
    text = "-".join((PREFIX, *parts))
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if slug != text:
        slug = f"{slug[: limit - 9].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return short(slug, limit)


def bucket_name(stack: str, purpose: str, account_id: str) -> str:
    """Return the name of a bucket. The account's number makes it unique among all accounts."""
    return f"{aws_name(stack, purpose, limit=DNS_LABEL_LIMIT - _ACCOUNT_LENGTH - 1)}-{account_id}"


def default_zones(region: str) -> tuple[str, ...]:
    """Return the first three zones of a region, as most regions name them."""
    return tuple(f"{region}{letter}" for letter in "abc")


def check_zones(zones: Sequence[str], region: str) -> None:
    """Check the availability zones of a VPC.

    Raises:
        SettingError: They are not three different zones of the region.
    """
    for index, zone in enumerate(zones):
        ZONE.check(f"aws_zones[{index}]", zone)
    if len(zones) != 3 or not distinct(zones):
        raise SettingError(f"aws_zones is {', '.join(zones)}: give three different zones of the region.")
    if others := [zone for zone in zones if zone[:-1] != region]:
        raise SettingError(f"aws_zones has {', '.join(others)}: give zones of the region {region}.")


def subnets(network: str, zones: int) -> dict[str, list[str]]:
    """Divide a VPC's network.

    Args:
        network: CIDR from /16 to /20.
        zones: Number of zones, at most 3.
    Returns:
        `private` (a quarter of the network for each zone, for nodes and pods), `public` and `database` (1/64 each).
    """
    quarters = list(ipaddress.IPv4Network(network).subnets(prefixlen_diff=2))
    small = [str(part) for part in quarters[3].subnets(prefixlen_diff=4)]
    return {
        "private": [str(part) for part in quarters[:zones]],
        "public": small[:zones],
        "database": small[4 : 4 + zones],
    }


def distinct(names: Sequence[str]) -> bool:
    """Whether no name occurs twice."""
    return len(set(names)) == len(names)
