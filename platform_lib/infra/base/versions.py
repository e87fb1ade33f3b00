"""Versions of Helm charts and references of images, and how a mirror changes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from platform_lib.infra.base.mirrors import Mirrors


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A third-party Helm chart."""

    name: str
    repository: str
    version: str


CHARTS: Final[Mapping[str, Chart]] = {
    chart.name: chart
    for chart in (
        Chart(name="traefik", repository="https://traefik.github.io/charts", version="41.3.0"),
        Chart(name="cert-manager", repository="https://charts.jetstack.io", version="v1.21.1"),
        Chart(name="oauth2-proxy", repository="https://oauth2-proxy.github.io/manifests", version="10.7.0"),
        Chart(
            name="kube-prometheus-stack",
            repository="https://prometheus-community.github.io/helm-charts",
            version="88.5.3",
        ),
        Chart(name="cloudnative-pg", repository="https://cloudnative-pg.github.io/charts", version="0.29.0"),
        Chart(name="keda", repository="https://kedacore.github.io/charts", version="2.20.2"),
    )
}

# Exact tags, because a mirror may repackage an image under another digest.
IMAGES: Final[Mapping[str, str]] = {
    "mlflow": "ghcr.io/mlflow/mlflow:v3.17.2-full",
    "prefect": "docker.io/prefecthq/prefect:3.8.8-python3.12-kubernetes",
    "traefik": "docker.io/library/traefik:v3.7.11",  # the chart's own version
    "oauth2-proxy": "quay.io/oauth2-proxy/oauth2-proxy:v7.15.3",  # the chart's own version
    "postgres": "ghcr.io/cloudnative-pg/postgresql:17.6-system-trixie",
}


def image(name: str, mirrors: Mirrors) -> str:
    """Return the reference of one of the platform's images, in the mirror if one is set."""
    return mirrored(IMAGES[name], mirrors)


def mirrored(reference: str, mirrors: Mirrors) -> str:
    """Return an image reference in the mirror: its prefix replaces the registry's host; path and tag or digest stay.

    `docker.io/library/traefik:v3` → `registry.example.com/mirror/library/traefik:v3`.
    """
    if not mirrors.image_registry:
        return reference
    first, slash, rest = reference.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return f"{mirrors.image_registry}/{rest if has_host else reference}"
