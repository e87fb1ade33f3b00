"""A third party's service, installed from its Helm chart at a pinned version, from the mirror where there is one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.versions import Chart


@dataclass(frozen=True, kw_only=True)
class HelmServiceArgs:
    """What is installed, where and with which values."""

    chart: Chart
    namespace: pulumi.Input[str]
    values: Mapping[str, Any]
    """Never a secret: anyone who may read the release's Secret reads them. Name an existing Secret instead."""
    mirrors: Mirrors = field(default_factory=Mirrors)
    timeout_s: int = 600
    """How long Helm waits until everything in the chart is ready."""

    def __post_init__(self) -> None:
        if self.timeout_s < 60:
            raise ValueError(f"timeout_s is {self.timeout_s}: images have to be pulled; give at least 60.")


class HelmService(pulumi.ComponentResource):
    """One Helm release. `release` is what others depend on: it is ready when the chart's pods are."""

    release: Any
    status: pulumi.Output[Any]

    def __init__(self, name: str, args: HelmServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:HelmService", name, None, opts)
        chart, repository = chart_source(args.chart, args.mirrors)
        # v3.Release, not v4.Chart: it runs the chart's hooks, keeps values secret that are, and waits until all is ready.
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
    """(chart, repository) as Helm takes them: a name in a repository, an `oci://` address, or a file in a folder."""
    mirror = mirrors.chart_mirror.removeprefix("file://").rstrip("/")
    if not mirror:
        return chart.name, chart.repository
    if mirror.startswith("oci://"):
        return f"{mirror}/{chart.name}", ""
    if mirror.startswith(("https://", "http://")):
        return chart.name, mirror
    return f"{mirror}/{chart.name}-{chart.version}.tgz", ""
