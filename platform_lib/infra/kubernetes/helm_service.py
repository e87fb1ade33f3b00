"""Install a third-party service from its Helm chart, at a pinned version and from the mirror if one is set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.versions import Chart


@dataclass(frozen=True, kw_only=True)
class HelmServiceArgs:
    """What to install, where, and with which values."""

    chart: Chart
    namespace: pulumi.Input[str]
    values: Mapping[str, Any]
    """Without secrets: everyone who may read the release can read its values. Refer to an existing Secret instead."""
    mirrors: Mirrors = field(default_factory=Mirrors)
    timeout_s: int = 600
    """How long Helm waits for everything in the chart to be ready, in seconds."""

    def __post_init__(self) -> None:
        if self.timeout_s < 60:
            raise ValueError(f"timeout_s is {self.timeout_s}: images have to be pulled; give at least 60.")


class HelmService(pulumi.ComponentResource):
    """One Helm release. Depend on `release` to wait until the chart's pods are ready."""

    release: Any
    status: pulumi.Output[Any]

    def __init__(self, name: str, args: HelmServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:HelmService", name, None, opts)
        chart, repository = chart_source(args.chart, args.mirrors)
        # v3.Release, not v4.Chart: it runs the chart's hooks, keeps secret values secret and waits for the pods.
        self.release = k8s.helm.v3.Release(
            name,
            # Fixed, because charts name their Services after the release and other components call those.
            name=args.chart.name,
            chart=chart,
            version=args.chart.version,
            repository_opts={"repo": repository} if repository else None,
            namespace=args.namespace,
            values=dict(args.values),
            timeout=args.timeout_s,
            max_history=5,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.status = self.release.status
        self.register_outputs({"status": self.status})


def chart_source(chart: Chart, mirrors: Mirrors) -> tuple[str, str]:
    """Return (chart, repository) as Helm expects them: a name in a repository, an `oci://` address, or a file."""
    mirror = mirrors.chart_mirror.removeprefix("file://").rstrip("/")
    if not mirror:
        return chart.name, chart.repository
    if mirror.startswith("oci://"):
        return f"{mirror}/{chart.name}", ""
    if mirror.startswith(("https://", "http://")):
        return chart.name, mirror
    return f"{mirror}/{chart.name}-{chart.version}.tgz", ""
