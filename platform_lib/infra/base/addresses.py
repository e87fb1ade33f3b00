"""Addresses that network rules name: credentials of clouds, DNS servers, and hosts inside the cluster. Plain values."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from platform_lib.infra.base.naming import TEAM_PREFIX
from platform_lib.infra.base.setting_rules import NAMESPACE, PORT, Rule

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA_ADDRESSES: Final = "169.254.0.0/16"
"""Where a cloud provider serves its nodes' credentials. No pod may connect to it."""
METADATA_ADDRESSES_IPV6: Final = ("fe80::/10", "fd00:ec2::/32", "fd20:ce::/32")
"""The same by IPv6: link-local addresses, and those of AWS and Google Cloud."""
METADATA_SERVERS: Final = ("169.254.169.254/32", "fd00:ec2::254/128", "fd20:ce::254/128")
"""The servers within `METADATA_ADDRESSES` that give out credentials."""
DNS_ADDRESSES: Final = ("169.254.20.10/32", "169.254.169.254/32")
"""DNS servers outside any namespace: NodeLocal DNSCache, and Cloud DNS of Google's clusters. Port 53 only."""
POD_IDENTITY_ADDRESSES: Final = ("169.254.170.23/32", "fd00:ec2::23/128")
"""The agent of EKS Pod Identity, port 80. It answers only to a pod's own token."""
EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
DNS_PORT: Final = 53
API_SERVER_PORTS: Final = (443, 6443, 8443, 16443)
"""Where an API server listens: behind its Service, and on its own address (8443 in minikube, 16443 in MicroK8s)."""
EGRESS_PODS: Final = ("all", "login", "mlflow", "prefect", "teams")
"""Who an entry of `egress` may name, besides `team-NAME`."""


def metadata_within(network: Network) -> list[str]:
    """Return the blocks of `METADATA_ADDRESSES` that a network contains, for its `except`."""
    blocks = map(ipaddress.ip_network, (METADATA_ADDRESSES, *METADATA_ADDRESSES_IPV6))
    return [str(block) for block in blocks if block.version == network.version and block.subnet_of(network)]  # type: ignore[arg-type]


def opens_credentials(cidr: str, without: Iterable[str]) -> list[str]:
    """Return the blocks that an `ipBlock` has to exclude, because they hold a server of credentials that it opens."""
    network = ipaddress.ip_network(cidr, strict=False)
    taken_out = [ipaddress.ip_network(block) for block in without]
    opened = [
        server
        for server in map(ipaddress.ip_network, METADATA_SERVERS)
        if _contains(network, server) and not any(_contains(block, server) for block in taken_out)
    ]
    blocks = map(ipaddress.ip_network, (METADATA_ADDRESSES, *METADATA_ADDRESSES_IPV6))
    return [str(block) for block in blocks if any(_contains(block, server) for server in opened)]


def _contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def cluster_namespace(host: str) -> str:
    """Return the namespace of a Service's host name such as `minio.storage.svc`; empty for every other host."""
    found = re.fullmatch(r"[\w-]+(?:\.[\w-]+)*\.([a-z0-9-]+)\.svc(?:\.[\w.-]+)?", host.rstrip("."))
    return found[1] if found else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """One entry of the setting `egress`."""

    pods: str
    """One of `EGRESS_PODS`, or `team-NAME`."""
    network: str = ""
    """CIDR; empty for a namespace."""
    namespace: str = ""
    """Empty for a network."""
    port: int


def parse_destination(entry: str) -> Destination | None:
    """Read `PODS=CIDR:PORT` or `PODS=NAMESPACE:PORT`; None for anything else.

    A network of the addresses where clouds serve credentials is read only for DNS: `all=169.254.25.10/32:53`.
    """
    pods, _, target = (part.strip() for part in entry.partition("="))
    where, _, port_text = target.rpartition(":")
    if pods not in EGRESS_PODS and not (pods.startswith(TEAM_PREFIX) and NAMESPACE.accepts(pods)):
        return None
    if not re.fullmatch(r"\d{1,5}", port_text) or not PORT.accepts(int(port_text)):
        return None
    port = int(port_text)
    if NAMESPACE.accepts(where):
        return Destination(pods=pods, namespace=where, port=port)
    try:
        network = ipaddress.ip_network(where, strict=False)
    except ValueError:
        return None
    if network.version == 6 and "/" not in where:
        return None  # the port would be read as a part of the address
    blocks = map(ipaddress.ip_network, (METADATA_ADDRESSES, *METADATA_ADDRESSES_IPV6))
    if port != DNS_PORT and any(_contains(block, network) for block in blocks):
        return None
    return Destination(pods=pods, network=str(network), port=port)


EGRESS: Final = Rule(
    lambda entry: parse_destination(entry) is not None,
    "write PODS=CIDR:PORT or PODS=NAMESPACE:PORT, such as mlflow=storage:9000 or team-churn=10.0.0.0/8:5432; PODS is "
    f"{', '.join(EGRESS_PODS)} or team-NAME; {METADATA_ADDRESSES}, where clouds serve credentials, opens for DNS only",
)
