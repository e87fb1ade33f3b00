"""Mirrors, proxy and CA bundle for a cluster without direct access to the internet. Creates no resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from platform_lib.infra.base.setting_rules import CHART_MIRROR, HOST_LIST, IMAGE_REGISTRY, PEM, PROXY_URL, Rule

CA_CONFIG_MAP: Final = "platform-ca"
"""ConfigMap in every namespace of the platform if `ca_bundle` is set; key `ca.crt`."""
CA_FOLDER: Final = "/etc/platform-ca"
RULES: Final[Mapping[str, Rule]] = {
    "chart_mirror": CHART_MIRROR,
    "image_registry": IMAGE_REGISTRY,
    "http_proxy": PROXY_URL,
    "no_proxy": HOST_LIST,
    "ca_bundle": PEM,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrors:
    """Where charts and images come from, and how to reach the internet. An empty field changes nothing."""

    chart_mirror: str = ""
    """Folder of `NAME-VERSION.tgz` files, or `https://` or `oci://` address of a repository with all charts."""
    image_registry: str = ""
    """Prefix that replaces the registry of every image, such as `registry.example.com/mirror`."""
    http_proxy: str = ""
    """`http://host:port` for requests that leave the cluster."""
    no_proxy: str = ""
    """More hosts that bypass the proxy, comma-separated. Hosts inside the cluster always bypass it."""
    ca_bundle: str = ""
    """PEM certificates of private CAs behind the proxy or the mirrors, trusted in addition to public CAs."""

    def __post_init__(self) -> None:
        for key, rule in RULES.items():
            if getattr(self, key):
                rule.check(key, getattr(self, key))

    def proxy_environment(self) -> dict[str, str]:
        """Return the environment of a process that connects to the outside; empty without a proxy."""
        if not self.http_proxy:
            return {}
        own = [
            "localhost",
            "127.0.0.1",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            ".svc",
            ".cluster.local",
        ]
        without = ",".join([*own, *(name.strip() for name in self.no_proxy.split(",") if name.strip())])
        both = {"HTTP_PROXY": self.http_proxy, "HTTPS_PROXY": self.http_proxy, "NO_PROXY": without}
        return both | {name.lower(): value for name, value in both.items()}

    def go_environment(self) -> list[Mapping[str, Any]]:
        """Return the `env` of a Go program: the proxy, and the CA bundle in addition to the image's own."""
        trust = {"SSL_CERT_DIR": CA_FOLDER} if self.ca_bundle else {}
        return [{"name": name, "value": value} for name, value in (self.proxy_environment() | trust).items()]

    def ca_volumes(self) -> list[dict[str, Any]]:
        """Return the `volumes` of a pod that trusts the CA bundle; empty without one."""
        return [{"name": CA_CONFIG_MAP, "configMap": {"name": CA_CONFIG_MAP}}] if self.ca_bundle else []

    def ca_mounts(self) -> list[dict[str, Any]]:
        """Return the `volumeMounts` for `ca_volumes`."""
        return [{"name": CA_CONFIG_MAP, "mountPath": CA_FOLDER, "readOnly": True}] if self.ca_bundle else []
