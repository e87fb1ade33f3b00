"""Prometheus, Alertmanager and Grafana for the whole platform, with the platform's own dashboard and alerts.

Each model endpoint adds its own dashboard and alerts. `ui_route` decides who may open Grafana.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from platform_lib.infra.base.labels import NAME, labels
from platform_lib.infra.base.mirrors import CA_CONFIG_MAP, Mirrors
from platform_lib.infra.base.naming import (
    INGRESS_NAMESPACE,
    MONITORING_NAMESPACE,
    PLATFORM_NAMESPACES,
    PROMETHEUS_SERVICE,
    TEAM_PREFECTS,
)
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import COUNT, HTTPS_URL
from platform_lib.infra.base.versions import CHARTS
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs
from platform_lib.infra.kubernetes.network_policy import (
    ALL_PODS,
    SAME_NAMESPACE,
    from_anywhere,
    from_namespaces,
    from_peers,
    policy_spec,
    with_labels,
)
from platform_lib.infra.kubernetes.secret_store import random_password
from platform_lib.infra.monitoring import grafana_guard
from platform_lib.infra.monitoring.alert_routing import ALERT_ADDRESS, alertmanager_config
from platform_lib.infra.monitoring.platform_alerts import platform_rules
from platform_lib.infra.monitoring.platform_dashboard import platform_dashboard
from platform_lib.infra.monitoring.values import monitoring_values

RELEASE = "kube-prometheus-stack"
"""Name of the chart and the release; the chart derives the names of its Services from it."""
GRAFANA_SERVICE = (f"{RELEASE}-grafana", 80)
_API = "monitoring.coreos.com/v1"
# Pods with metrics but without a ServiceMonitor: a chart that creates one fails before the CRD exists.
_SCRAPED = {"traefik": (INGRESS_NAMESPACE, "metrics"), "cert-manager": (INGRESS_NAMESPACE, "http-metrics")}


@dataclass(frozen=True, kw_only=True)
class ObservabilityArgs:
    """Retention of metrics and destination of alerts."""

    grafana_url: str
    """Grafana's address from outside, for links."""
    signout_url: str = ""
    """Where people sign out of the platform's login; empty without one."""
    alerts: pulumi.Input[str] = ""
    """Destination of alerts (secret), in the forms of `alert_routing`; empty shows alerts in Grafana only."""
    retention_days: int = 15
    scraped: dict[str, tuple[str, str]] = field(default_factory=lambda: dict(_SCRAPED))
    """`app.kubernetes.io/name` → namespace and port of pods to scrape, in addition to those with a ServiceMonitor."""
    placement: Placement = field(default_factory=Placement)
    has_operator: bool = False
    """Whether the cluster has the Prometheus operator already; the chart then installs neither it nor definitions."""
    keda_namespace: str = ""
    """Namespace of a KEDA that the cluster has, which may then query Prometheus."""
    depends_on: Sequence[Any] = ()
    """cert-manager: the chart creates Issuers and Certificates."""

    def __post_init__(self) -> None:
        COUNT.check("retention_days", self.retention_days)
        HTTPS_URL.check("grafana_url", self.grafana_url)
        if isinstance(self.alerts, str) and self.alerts:
            ALERT_ADDRESS.check("alerts", self.alerts, is_secret=True)


class Observability(pulumi.ComponentResource):
    """Metrics, alerts and dashboards. `release` is ready when Prometheus, Alertmanager and Grafana are ready."""

    grafana_service: pulumi.Output[str]
    """Name of Grafana's Service, on port 80."""
    grafana_edge_password: pulumi.Output[str]
    """Secret value. Grafana believes identity headers of requests with it; the user is `grafana_guard.USER`."""
    prometheus_url: pulumi.Output[str]
    """Address inside the cluster."""
    grafana_admin_secret: pulumi.Output[str]
    """Name of the Secret with `admin-user` and `admin-password`, for use when the login does not work."""

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Observability", name, None, opts)
        self._name, self._args = name, args
        mirrors = args.placement.mirrors

        routing = k8s.core.v1.Secret(
            f"{name}-alerts",
            metadata=self._meta(),
            string_data={
                "alertmanager.yaml": pulumi.Output.secret(
                    pulumi.Output.from_input(args.alerts).apply(
                        lambda destination: alertmanager_config(
                            destination or "", http_proxy=mirrors.http_proxy, no_proxy=_no_proxy(mirrors)
                        )
                    )
                )
            },
            opts=self._child(),
        )
        password = random.RandomPassword(f"{name}-grafana", length=40, special=False, opts=self._child())
        admin = k8s.core.v1.Secret(
            f"{name}-grafana",
            metadata=self._meta("grafana-admin"),
            string_data={"admin-user": "admin", "admin-password": password.result},
            opts=self._child(),
        )

        edge_password = random_password(f"{name}-grafana-edge", self._child())
        self.grafana_edge_password = edge_password.result
        guard = k8s.core.v1.Secret(
            f"{name}-grafana-edge",
            metadata=self._meta(grafana_guard.SECRET),
            string_data=edge_password.result.apply(grafana_guard.guard_files),
            opts=self._child(),
        )

        self.release = HelmService(
            name,
            HelmServiceArgs(
                chart=CHARTS[RELEASE],
                namespace=MONITORING_NAMESPACE,
                values=monitoring_values(
                    placement=args.placement,
                    grafana_url=args.grafana_url,
                    signout_url=args.signout_url,
                    retention_days=args.retention_days,
                    alert_config_secret=routing.metadata.name,
                    admin_secret=admin.metadata.name,
                    ca_config_map=CA_CONFIG_MAP if mirrors.ca_bundle else None,
                    has_operator=args.has_operator,
                ),
                mirrors=mirrors,
            ),
            opts=self._child(depends_on=[guard, *args.depends_on]),
        )
        self._policies()
        if args.has_operator:
            self._services()
        self._watch_the_platform()

        self.grafana_service = pulumi.Output.from_input(GRAFANA_SERVICE[0])
        self.prometheus_url = pulumi.Output.from_input(f"http://{RELEASE}-prometheus.{MONITORING_NAMESPACE}:9090")
        self.grafana_admin_secret = admin.metadata.name
        self.register_outputs(
            {
                "grafana_service": self.grafana_service,
                "prometheus_url": self.prometheus_url,
                "grafana_admin_secret": self.grafana_admin_secret,
                "grafana_edge_password": self.grafana_edge_password,
            }
        )

    def _policies(self) -> None:
        """Close the network: Grafana is for the edge, and Prometheus shows everything to every client."""
        self._policy("inside", policy_spec(ALL_PODS, ingress=[from_peers([SAME_NAMESPACE])]))
        grafana = with_labels({NAME: "grafana"})
        self._policy(
            "grafana", policy_spec(grafana, ingress=[from_namespaces([INGRESS_NAMESPACE], grafana_guard.PORT)])
        )
        # The API server calls the operator to validate rules; a NetworkPolicy cannot select the API server.
        if not self._args.has_operator:
            webhook = with_labels({"app": f"{RELEASE}-operator"})
            self._policy("operator", policy_spec(webhook, ingress=[from_anywhere(10250)]))
        if self._args.keda_namespace:
            prometheus = with_labels({NAME: "prometheus"})
            self._policy("keda", policy_spec(prometheus, ingress=[from_namespaces([self._args.keda_namespace], 9090)]))

    def _services(self) -> None:
        """Give Prometheus and Grafana the names that everything else knows them by: the chart uses others now."""
        for role, service, ports, selector in (
            ("prometheus", PROMETHEUS_SERVICE, (9090, "http-web"), {NAME: "prometheus"}),
            ("grafana", GRAFANA_SERVICE[0], (GRAFANA_SERVICE[1], grafana_guard.PORT), {NAME: "grafana"}),
        ):
            port, target = ports
            k8s.core.v1.Service(
                f"{self._name}-{role}-service",
                metadata=self._meta(service),
                spec={"selector": selector, "ports": [{"name": "http-web", "port": port, "targetPort": target}]},
                opts=self._child(depends_on=[self.release]),
            )

    def _policy(self, role: str, spec: dict[str, Any]) -> None:
        k8s.networking.v1.NetworkPolicy(
            f"{self._name}-{role}", metadata=self._meta(f"monitoring-{role}"), spec=spec, opts=self._child()
        )

    def _watch_the_platform(self) -> None:
        after = self._child(depends_on=[self.release])
        watched = (*PLATFORM_NAMESPACES, TEAM_PREFECTS)
        self._custom("PrometheusRule", "rules", {"groups": platform_rules(watched)}, after)
        for app, (namespace, port) in self._args.scraped.items():
            spec = {
                "selector": {"matchLabels": {NAME: app}},
                "namespaceSelector": {"matchNames": [namespace]},
                "podMetricsEndpoints": [{"port": port, "interval": "30s"}],
            }
            self._custom("PodMonitor", app, spec, after)
        meta = self._meta()
        meta["labels"] = {**meta["labels"], "grafana_dashboard": "1"}
        meta["annotations"] = {"grafana_folder": "Platform"}
        board = {"mlp-platform.json": platform_dashboard(watched)}
        k8s.core.v1.ConfigMap(f"{self._name}-dashboard", metadata=meta, data=board, opts=self._child())

    def _custom(self, kind: str, role: str, spec: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        k8s.apiextensions.CustomResource(
            f"{self._name}-{role}",
            api_version=_API,
            kind=kind,
            metadata=self._meta(f"platform-{role}"),
            spec=spec,
            opts=opts,
        )

    def _meta(self, name: str = "") -> dict[str, Any]:
        """Build metadata. Without a name, Pulumi generates one, so that changed data creates a new object."""
        meta: dict[str, Any] = {"namespace": MONITORING_NAMESPACE, "labels": labels(self._name, "observability")}
        return {**meta, "name": name} if name else meta

    def _child(self, **more: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, **more)


def _no_proxy(mirrors: Mirrors) -> str:
    return mirrors.proxy_environment().get("NO_PROXY", "")
