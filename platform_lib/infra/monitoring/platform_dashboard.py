"""Panels of the platform's own Grafana dashboard: service health, traffic at the edge, free capacity."""

from collections.abc import Sequence

from platform_lib.infra.monitoring.dashboards import Panel, Query, dashboard


def platform_panels(namespaces: Sequence[str]) -> list[Panel]:
    """Build the panels.

    Args:
        namespaces: Namespaces of the platform, as patterns of PromQL.
    """
    scope = f'namespace=~"{"|".join(sorted(namespaces))}"'
    teams = 'namespace=~"team-.*"'
    edge = "traefik_service_requests_total"
    quota = f'kube_resourcequota{{{teams},type="%s"}}'
    return [
        Panel(
            title="Services without a ready pod",
            queries=(Query(f"sum(kube_deployment_status_replicas_available{{{scope}}} == bool 0)", "services"),),
            description="Alert: PlatformServiceDown.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Serving models",
            queries=(Query(f"count(sum by (namespace, model) (mlp_model_info{{{teams}}} == 1))", "models"),),
            description="In all teams.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Firing alerts",
            queries=(Query('count(ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)', "alerts"),),
            description="Without Watchdog, which always fires to show that alerts are delivered.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Days until the next certificate expires",
            queries=(Query("min(certmanager_certificate_expiration_timestamp_seconds - time()) / 86400", "days"),),
            description="Alert below 14: CertificateExpires.",
            kind="stat",
            source="cluster",
            width=6,
        ),
        Panel(
            title="Requests at the edge",
            queries=(Query(f"sum by (code) (rate({edge}[5m]))", "{{code}}"),),
            description="All hosts, by HTTP status.",
            unit="reqps",
            source="cluster",
        ),
        Panel(
            title="Response time at the edge",
            queries=(
                Query(
                    "histogram_quantile(0.99,"
                    " sum by (le) (rate(traefik_entrypoint_request_duration_seconds_bucket[5m])))",
                    "p99",
                ),
            ),
            description="The 99th percentile: one request in a hundred takes longer.",
            unit="s",
            source="cluster",
        ),
        Panel(
            title="Requests per second by model",
            queries=(Query(f"sum by (model) (rate(mlp_requests_total{{{teams}}}[5m]))", "{{model}}"),),
            description="In all teams.",
            unit="reqps",
            source="cluster",
        ),
        Panel(
            title="Errors per second by model",
            queries=(Query(f'sum by (model) (rate(mlp_requests_total{{{teams},code=~"5.."}}[5m]))', "{{model}}"),),
            description="Responses with status 5xx per second.",
            unit="reqps",
            source="cluster",
        ),
        Panel(
            title="Memory by namespace",
            queries=(
                Query(
                    f'sum by (namespace) (container_memory_working_set_bytes{{{scope},container!=""}})', "{{namespace}}"
                ),
            ),
            description="Working set of the platform's own pods.",
            unit="bytes",
            source="cluster",
        ),
        Panel(
            title="Free space on volumes",
            queries=(
                Query(
                    f"kubelet_volume_stats_available_bytes{{{scope}}} / kubelet_volume_stats_capacity_bytes{{{scope}}}",
                    "{{namespace}} {{persistentvolumeclaim}}",
                ),
            ),
            description="Alert below 10 %: PlatformVolumeFills.",
            unit="percentunit",
            source="cluster",
        ),
        Panel(
            title="CPU of jobs and models by team",
            queries=(
                Query(
                    f'sum by (namespace) (rate(container_cpu_usage_seconds_total{{{teams},container!=""}}[5m]))',
                    "{{namespace}}",
                ),
            ),
            description="Cores in use.",
            source="cluster",
        ),
        Panel(
            title="Used quota by team",
            queries=(
                Query(
                    f"max by (namespace, resource) ({quota % 'used'} / ignoring (type) {quota % 'hard'})",
                    "{{namespace}} {{resource}}",
                ),
            ),
            description="At 100 %, new pods of the team are rejected.",
            unit="percentunit",
            source="cluster",
        ),
    ]


def platform_dashboard(namespaces: Sequence[str]) -> str:
    """Return the dashboard as JSON."""
    return dashboard("mlp-platform", "Platform", platform_panels(namespaces), tags=["platform"])
