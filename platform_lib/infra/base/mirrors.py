"""How an installation without the internet gets charts, images and the outside world. Makes no resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from platform_lib.infra.base.setting_rules import CHART_MIRROR, HOST_LIST, IMAGE_REGISTRY, PEM, PROXY_URL, Rule

CA_CONFIG_MAP: Final = "platform-ca"
"""In every namespace of the platform where `ca_bundle` is set; key `ca.crt`."""
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
    """Where things come from instead of their own homes; every field is off when empty."""

    chart_mirror: str = ""
    """Folder of `NAME-VERSION.tgz` files, or `https://` or `oci://` address of a chart repository that holds all charts."""
    image_registry: str = ""
    """Prefix of every image: `registry.example.com/mirror` gives `registry.example.com/mirror/traefik:v3`, keeping the rest of the path."""
    http_proxy: str = ""
    """`http://host:port` for requests that leave the cluster."""
    no_proxy: str = ""
    """Further hosts, comma-separated, that are reached without the proxy; the cluster's own always are."""
    ca_bundle: str = ""
    """PEM certificates of the authorities that signed the proxy's or the mirrors' own certificates, besides the public ones."""

    def __post_init__(self) -> None:
        for key, rule in RULES.items():
            if getattr(self, key):
                rule.check(key, getattr(self, key))

    def proxy_environment(self, in_cluster: tuple[str, ...] = ()) -> dict[str, str]:
        """Environment of a process that talks to the outside; empty without a proxy.

        Args:
            in_cluster: Further in-cluster names that it talks to.
        """
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
            *in_cluster,
        ]
        without = ",".join([*own, *(name.strip() for name in self.no_proxy.split(",") if name.strip())])
        both = {"HTTP_PROXY": self.http_proxy, "HTTPS_PROXY": self.http_proxy, "NO_PROXY": without}
        return both | {name.lower(): value for name, value in both.items()}

    def proxy_env_list(self, in_cluster: tuple[str, ...] = ()) -> list[Mapping[str, Any]]:
        """The same as a container's `env`."""
        return [{"name": name, "value": value} for name, value in self.proxy_environment(in_cluster).items()]

    def go_environment(self) -> list[Mapping[str, Any]]:
        """`env` of a program written in Go: the proxy, and the authorities besides the image's own."""
        return [*self.proxy_env_list(), *([{"name": "SSL_CERT_DIR", "value": CA_FOLDER}] if self.ca_bundle else [])]

    def ca_volumes(self) -> list[dict[str, Any]]:
        """`volumes` of a pod that trusts the authorities; empty without any."""
        return [{"name": CA_CONFIG_MAP, "configMap": {"name": CA_CONFIG_MAP}}] if self.ca_bundle else []

    def ca_mounts(self) -> list[dict[str, Any]]:
        """`volumeMounts` to these volumes."""
        return [{"name": CA_CONFIG_MAP, "mountPath": CA_FOLDER, "readOnly": True}] if self.ca_bundle else []
